"""The step: three files, whole or none; bad input is one line and exit status 2."""

import gzip
import hashlib
import json
import os
import subprocess
import sys

import polars as pl
import pytest

from making.vcf import bcf_of, bgzipped, read_rejected, tabix, vcf_text
from varlm import cli
from varlm.tables.parquet import read_table
from varlm.tables.schemas import REJECTED, VARIANTS

CONTIGS = {"1": "ACGTTGCAAC" * 20, "2": "TTGCA" * 20}
INFO = ['##INFO=<ID=AF,Number=A,Type=Float,Description="x">']
RECORDS = [
    ("1", 1, "rs1", "A", "C,<DEL>", ".", "PASS", "AF=0.5,0.25"),
    ("1", 11, ".", "ACG", "A", ".", "PASS", "."),
    ("1", 21, ".", "A", "."),
    ("2", 1, "x", "G", "C"),
    ("2", 3, "y", "G", "C"),
]


@pytest.fixture
def step(tmp_path, make_reference):
    """A function: --vcf paths and flags → exit status; outputs are in tmp_path/out."""
    reference = make_reference(CONTIGS)

    def run(*vcfs, out="out", **flags):
        folder = tmp_path / out
        arguments = ["normalise", "--cohort", "c", "--reference", str(reference)]
        for vcf in vcfs:
            arguments += ["--vcf", str(vcf)]
        for name, values in flags.items():
            for value in values if isinstance(values, list) else [values]:
                arguments += [f"--{name.replace('_', '-')}", str(value)]
        arguments += ["--variants", str(folder / "variants.parquet")]
        arguments += ["--rejected", str(folder / "rejected.tsv.gz")]
        arguments += ["--accounting", str(folder / "accounting.json")]
        return cli.main(arguments)

    return run


def written(path, data):
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def test_the_three_files(step, tmp_path):
    vcf = written(tmp_path / "a.vcf", vcf_text(RECORDS, CONTIGS, header=INFO))
    assert step(vcf) == 0
    variants = read_table(tmp_path / "out/variants.parquet", VARIANTS)
    # ACGTTGCAAC|ACGTT…: deleting CG at 12 and 13 cannot be written further left.
    assert variants.rows() == [
        ("1", "1", 1, "rs1", "A", "C", 1, "A", "C", "snv", 0.5, 0, 0, 1),
        ("1", "1", 11, None, "ACG", "A", 11, "ACG", "A", "del", None, 0, 1, 1),
        ("2", "2", 3, "y", "G", "C", 3, "G", "C", "snv", None, 0, 4, 1),
    ]
    rejected = read_rejected(tmp_path / "out/rejected.tsv.gz")
    assert [(row["reason"], row["record"], row["allele"]) for row in rejected] == [
        ("symbolic", "0", "2"),
        ("missing_alt", "2", "0"),
        ("ref_mismatch", "3", "1"),
    ]
    accounting = json.loads((tmp_path / "out/accounting.json").read_text())
    assert accounting["alleles_in"] == 6
    assert accounting["accepted"] == variants.height == 3
    assert accounting["rejected"] == 3
    assert accounting["sites"] == 2
    assert accounting["other_alleles"] == 1
    assert accounting["by_reason"] == {"missing_alt": 1, "symbolic": 1, "ref_mismatch": 1}
    assert accounting["files"] == [
        {
            "path": str(vcf),
            "format": "vcf",
            "records": 5,
            "alleles": 6,
            "sha256": hashlib.sha256(vcf.read_bytes()).hexdigest(),
        }
    ]


def test_every_format_gives_the_same_tables_twice(step, tmp_path):
    header = [*INFO, '##FORMAT=<ID=GT,Number=1,Type=String,Description="x">']
    text = vcf_text(RECORDS, CONTIGS, samples=2, header=header)
    plain = written(tmp_path / "a.vcf", text)
    paths = [
        plain,
        written(tmp_path / "b.vcf.gz", bgzipped(text)),
        written(tmp_path / "c.vcf.gz", gzip.compress(text.encode())),
        bcf_of(plain),
        plain,
    ]
    digests = set()
    for index, path in enumerate(paths):
        assert step(path, out=str(index)) == 0
        files = [tmp_path / str(index) / name for name in ("variants.parquet", "rejected.tsv.gz")]
        digests.add(b"".join(file.read_bytes() for file in files))
    assert len(digests) == 1


def test_fault_02_cut_files_are_told_by_the_sheets_count_and_digest(step, tmp_path, capsys):
    whole = bgzipped(vcf_text(RECORDS, CONTIGS))
    digest = hashlib.sha256(whole).hexdigest()
    cut = written(tmp_path / "cut.vcf.gz", bgzipped(vcf_text(RECORDS[:2], CONTIGS)))
    assert step(cut) == 0  # nothing tells, but the accounting names what is absent
    accounting = json.loads((tmp_path / "out/accounting.json").read_text())
    assert accounting["contigs_without_records"] == ["2"]
    assert step(cut, out="a", expect_records="0:5") == 2
    assert "2 records, the cohort sheet expects 5" in capsys.readouterr().err
    assert step(cut, out="b", expect_sha256=f"0:{digest}") == 2
    assert f"the cohort sheet expects {digest}" in capsys.readouterr().err
    assert not list(tmp_path.glob("[ab]/*"))
    good = written(tmp_path / "good.vcf.gz", whole)
    assert step(cut, good, expect_records=["1:5", "0:2"], expect_sha256=f"1:{digest.upper()}") == 0
    for wrong in ("5", "2:5", "0:", "0:x", "x:1"):
        assert step(cut, good, expect_records=wrong) == 2
        assert "--expect-records: found" in capsys.readouterr().err


def test_the_files_of_a_cohort_have_the_same_samples_in_one_order(step, tmp_path, capsys):
    text = vcf_text(RECORDS, CONTIGS, samples=2)
    first = written(tmp_path / "a.vcf", text)
    other = written(tmp_path / "b.vcf", text.replace("S0\tS1", "S1\tS0"))
    assert step(first, other) == 2
    error = capsys.readouterr().err
    assert "b.vcf: its samples are not those of" in error
    assert "the same names in another order" in error


def test_fault_25_a_file_listed_twice(step, tmp_path, capsys):
    text = vcf_text(RECORDS, CONTIGS)
    path = written(tmp_path / "a.vcf", text)
    (tmp_path / "link.vcf").symlink_to(path)
    copy = written(tmp_path / "copy.vcf", text)
    for other in (path, tmp_path / "link.vcf", tmp_path / "x" / ".." / "a.vcf"):
        (tmp_path / "x").mkdir(exist_ok=True)
        assert step(path, other) == 2
        assert "is listed twice" in capsys.readouterr().err
    assert step(path, copy) == 2
    assert "byte for byte" in capsys.readouterr().err
    empty = [written(tmp_path / name, vcf_text([], CONTIGS)) for name in ("e.vcf", "f.vcf")]
    assert step(*empty) == 0


def test_fault_04_a_stale_index_changes_nothing(step, tmp_path):
    a = written(tmp_path / "a.vcf.gz", bgzipped(vcf_text(RECORDS, CONTIGS)))
    b = written(tmp_path / "b.vcf.gz", bgzipped(vcf_text(RECORDS[-1:], CONTIGS)))
    tabix(b)
    written(tmp_path / "a.vcf.gz.tbi", (tmp_path / "b.vcf.gz.tbi").read_bytes())
    assert step(a) == 0
    assert read_table(tmp_path / "out/variants.parquet", VARIANTS).height == 3


def test_fault_01_a_cut_file_leaves_the_old_results(step, tmp_path, capsys):
    whole = bgzipped(vcf_text(RECORDS[:2] * 500, CONTIGS))
    path = written(tmp_path / "a.vcf.gz", whole)
    assert step(path) == 0
    before = {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    written(path, whole[:-28])
    assert step(path) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"error: {path}: truncated")
    assert {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()} == before


def test_fault_55_formulas_tabs_and_control_characters(step, tmp_path):
    ids = ["=cmd|'/c calc'!A1", "+1", "-1", "@x", "a\\b", "a\rb", "a\x1b[31mb", "é", "ok", '"q"']
    vcf = written(tmp_path / "a.vcf", vcf_text([("1", 1, name, "A", "<X>") for name in ids]))
    assert step(vcf) == 0
    rows = read_rejected(tmp_path / "out/rejected.tsv.gz")
    assert [row["id"] for row in rows] == [
        "'=cmd|'/c calc'!A1",
        "'+1",
        "'-1",
        "'@x",
        "a\\x5cb",
        "a\\x0db",
        "a\\x1b[31mb",
        "é",
        "ok",
        "\\x22q\\x22",
    ]
    # An ordinary reader of TSV sees the same columns.
    frame = pl.read_csv(
        gzip.decompress((tmp_path / "out/rejected.tsv.gz").read_bytes()),
        separator="\t",
        quote_char=None,
    )
    assert frame.columns == REJECTED.names
    assert frame.height == len(ids)


def test_options_reach_the_library(step, tmp_path):
    records = [
        ("1", 1, "low", "A", "C", ".", "PASS", "AF=0.01"),
        ("1", 1, "high", "A", "C", ".", "PASS", "AF=0.9"),
        ("1", 1, "mid", "A", "C", ".", "PASS", "AF=0.5"),
        ("1", 1, "bad", "A", "C", ".", "q", "AF=0.5"),
        ("1", 101, "far", "A", "C", ".", "PASS", "AF=0.5"),
        ("1", 1, "long", "A", "CCC", ".", "PASS", "AF=0.5"),
        ("1", 1, "indel", "A", "AC", ".", "PASS", "AF=0.5"),
        ("one", 1, "alias", "A", "G", ".", "PASS", "AF=0.5"),
        ("1", 1, "mismatch", "C", "G", ".", "PASS", "AF=0.5"),
    ]
    vcf = written(tmp_path / "a.vcf", vcf_text(records))
    bed = written(tmp_path / "r.bed", "chr1\t0\t50\n")
    aliases = written(tmp_path / "a.tsv", "alias\tcontig\none\t1\n")
    options = {
        "filter": "pass",
        "min_af": 0.1,
        "max_af": 0.8,
        "regions": bed,
        "aliases": aliases,
        "max_allele_length": 2,
        "indels": "skip",
        "max_ref_mismatch": 0.5,
    }
    assert step(vcf, **options) == 0
    variants = read_table(tmp_path / "out/variants.parquet", VARIANTS)
    assert variants["id"].to_list() == ["mid", "alias"]
    by_reason = json.loads((tmp_path / "out/accounting.json").read_text())["by_reason"]
    assert by_reason == {
        "filtered": 1,
        "ref_mismatch": 1,
        "too_long": 1,
        "indels_skipped": 1,
        "af_out_of_range": 2,
        "outside_regions": 1,
    }
    assert step(vcf, on_ref_mismatch="error") == 2


def test_bad_input_is_one_line_and_status_two_in_a_process_of_its_own(
    tmp_path, make_reference, root
):
    reference = make_reference(CONTIGS)
    odd = tmp_path / "with space; $(touch PWNED) 'q'"
    odd.mkdir()
    good = vcf_text(RECORDS, CONTIGS, header=INFO)
    cases = {
        "good.vcf": (good, None),
        "good.bcf": (bcf_of(written(tmp_path / "g.vcf", good)).read_bytes(), None),
        "empty.vcf": ("", "is empty"),
        "blank.vcf": (good.replace("rs1", "rs1\n\n"), "columns"),
        "pos.vcf": (good.replace("\t11\t", "\t.\t"), "POS is '.'"),
        "nul.vcf": (good.replace("rs1", "r\0s"), "NUL"),
    }
    for name, (data, expected) in cases.items():
        path = written(odd / name, data)
        out = tmp_path / f"out {name}"
        command = [sys.executable, root / "workflow_scripts", "normalise", "--cohort", "c"]
        command += ["--vcf", path, "--reference", reference]
        command += ["--variants", out / "v.parquet", "--rejected", out / "r.tsv.gz"]
        command += ["--accounting", out / "a.json"]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=120,
            cwd=tmp_path,
            env={**os.environ, "LC_ALL": "C"},
        )
        if expected is None:
            assert done.returncode == 0, done.stderr
            outputs = ["a.json", "r.tsv.gz", "v.parquet", "v.parquet.sha256"]
            assert sorted(p.name for p in out.iterdir()) == outputs
            continue
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        lines = done.stderr.splitlines()
        assert lines[-1].startswith(f"error: {path}")
        assert expected in lines[-1]
        assert not out.exists()
    assert not (tmp_path / "PWNED").exists()
