"""bcftools as a child: its output, its errors in a line, its crashes told as such."""

import os
import signal
import subprocess

import pytest

from varlm.run import bcftools
from varlm.run.bcftools import BcftoolsCrashError, BcftoolsError

VCF = "##fileformat=VCFv4.2\n##contig=<ID=c,length=9>\n"
VCF += "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


@pytest.fixture
def vcf(tmp_path):
    path = tmp_path / "with space;$(x).vcf"
    path.write_text(VCF + "c\t5\t.\tA\tC\t.\t.\t.\n")
    return path


def test_what_it_writes(vcf, tmp_path):
    text = b"".join(bcftools.output("view", "-H", str(vcf)))
    assert text == b"c\t5\t.\tA\tC\t.\t.\t.\n"
    bcftools.run("view", "-H", "-o", str(tmp_path / "out"), str(vcf))
    assert (tmp_path / "out").read_bytes() == text


def test_an_error_is_the_last_line_it_said_and_no_more(tmp_path, monkeypatch):
    with pytest.raises(
        BcftoolsError, match=r"^Failed to read from \S*missing\.vcf: [^\n']*$"
    ) as error:
        bcftools.run("view", str(tmp_path / "missing.vcf"))
    assert not isinstance(error.value, BcftoolsCrashError)
    monkeypatch.setattr(bcftools, "_CHILD", "import sys; sys.exit('first\\n' + 'x' * 5000)")
    with pytest.raises(BcftoolsError, match=r"^x{300}$"):
        bcftools.run("view")
    monkeypatch.setattr(bcftools, "_CHILD", "import sys; sys.exit(3)")
    with pytest.raises(BcftoolsError, match=r"^exit status 3$"):
        bcftools.run("view")


def test_a_crash_is_told_as_one(monkeypatch):
    monkeypatch.setattr(bcftools, "_CHILD", "import os; os.kill(os.getpid(), 11)")
    with pytest.raises(BcftoolsCrashError, match=r"bcftools csq crashed: signal 11 \(SIGSEGV\)"):
        bcftools.run("csq")


def test_the_child_ends_when_nobody_reads_on(vcf, monkeypatch):
    children = []
    real = subprocess.Popen
    monkeypatch.setattr(
        bcftools.subprocess, "Popen", lambda *a, **k: children.append(real(*a, **k)) or children[0]
    )
    monkeypatch.setattr(
        bcftools, "_CHILD", "import sys, time; print('x' * (1 << 20)); time.sleep(600)"
    )
    pieces = bcftools.output("view", str(vcf))
    assert next(pieces)
    pieces.close()
    assert children[0].returncode == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        os.kill(children[0].pid, 0)


def test_a_signal_without_a_name():
    assert bcftools.signal_name(40) == "signal 40"
    assert bcftools.signal_name(9) == "signal 9 (SIGKILL)"
