"""Every file of hard-vcf/ ends in whole tables, or in one clear error; never otherwise."""

import logging
import re
import subprocess
import sys
from functools import cache

import numpy as np
import polars as pl
import pytest

from varlm import vcf_input
from varlm.errors import UserError
from varlm.reference import Genome
from varlm.schemas import CONTIGS
from varlm.variants import REASONS, CohortVcf, NormaliseOptions, normalise

pytestmark = [pytest.mark.real_data, pytest.mark.slow]

LENGTH = 1 << 28  # every position that a real genome has


@cache
def random_bases():
    return np.random.default_rng(0).choice(np.frombuffer(b"ACGT", np.uint8), 1 << 20)


def crude_records(path):
    """The fields of each line, by a parser that shares nothing with the one under test."""
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b" or data[:3] == b"BCF":
        try:
            source = vcf_input.open_vcf(path)
            data = b"".join(chunk.data for chunk in source.chunks())
        except UserError:
            return []
    lines = [line.rstrip("\r") for line in data.decode("latin-1").split("\n")]
    return [line.split("\t") for line in lines if line and not line.startswith("#")]


def permissive_genome(folder, records):
    """A genome whose contigs are the file's, and whose bases are its REF alleles where it can."""
    data = np.zeros(LENGTH, np.uint8)  # pages that nothing touches cost no memory
    names = dict.fromkeys(fields[0] for fields in records if fields[0])
    spans = []
    for fields in records:
        if len(fields) > 3 and fields[1].isdecimal() and re.fullmatch("[ACGTacgt]+", fields[3]):
            start = int(fields[1]) - 1
            if 0 <= start < LENGTH - len(fields[3]) - 100:
                spans.append((start, fields[3].upper().encode()))
    for start, ref in spans:
        around = slice(max(0, start - 100), start + len(ref) + 100)
        data[around] = random_bases()[: around.stop - around.start]
    for start, ref in spans:
        data[start : start + len(ref)] = np.frombuffer(ref, np.uint8)
    contigs = pl.DataFrame(
        [(name, LENGTH, 0, "SQ.test", 0) for name in names or ["1"]],
        schema=CONTIGS.schema,
        orient="row",
    )
    genome = Genome(folder, contigs, data)
    genome._verified.update(genome.names)  # not hashed: a second for each of 1,900 files
    return genome


def hard_files(shared_data):
    """All that a user may take for a VCF: not the corpora's FASTA, GFF, indexes, documents."""
    files = sorted(
        path
        for path in (shared_data / "hard-vcf").rglob("*")
        if path.is_file()
        and path.suffix not in (".fa", ".fai", ".gff", ".gff3", ".md", ".tsv", ".txt-l", ".out")
    )
    return [path for path in files if path.name != "LICENSE"]


def outcome(path, folder, **options):
    """Return the result, or the UserError's message; anything else propagates."""
    records = crude_records(path)
    genome = permissive_genome(folder, records)
    options = NormaliseOptions(max_ref_mismatch=1.0, max_allele_length=10_000, **options)
    try:
        result = normalise("hard", [CohortVcf(path)], genome, options)
    except UserError as error:
        return str(error)
    # Counted by the crude parser, apart from the code under test.
    assert result.accounting["files"][0]["records"] == len(records)
    expected = sum(fields[4].count(",") + 1 for fields in records)
    assert result.variants.height + result.rejected.height == expected
    assert set(result.rejected["reason"]) <= set(REASONS)
    keys = pl.concat(
        [table.select("record", "allele") for table in (result.variants, result.rejected)]
    )
    assert keys.is_unique().all()
    return result


def test_every_hard_file_ends_in_tables_or_one_error(shared_data, tmp_path, caplog):
    caplog.set_level(logging.ERROR)
    files = hard_files(shared_data)
    assert len(files) > 1800
    finished, failed, alleles = 0, {}, 0
    for path in files:
        result = outcome(path, tmp_path)
        if isinstance(result, str):
            failed[path] = result
            assert str(path) in result
            assert "\n" not in result
        else:
            finished += 1
            alleles += result.variants.height
    print({"files": len(files), "finished": finished, "failed": len(failed), "alleles": alleles})
    # The corpora's valid files must not fail: an error for everything would pass all else.
    passed = [path for path in files if "passed" in path.parts and path.suffix == ".vcf"]
    assert len(passed) > 100
    empty = {path for path in passed if path.stat().st_size == 0}
    wrongly = {path: failed[path] for path in passed if path in failed and path not in empty}
    assert not wrongly
    assert empty <= failed.keys()
    assert finished > 1700
    assert alleles > 20_000


def test_hard_files_in_a_process_of_their_own(shared_data, tmp_path, root, make_reference):
    reference = make_reference({"1": "ACGT" * 100, "20": "ACGT" * 100, "chr1": "ACGT" * 100})
    sampled = hard_files(shared_data)[::400]
    sampled += [path for path in hard_files(shared_data) if path.suffix == ".bcf"]
    assert len(sampled) >= 6
    for index, path in enumerate(sampled):
        out = tmp_path / str(index)
        command = [sys.executable, root / "workflow_scripts", "normalise", "--cohort", "hard"]
        command += ["--vcf", path, "--reference", reference, "--max-ref-mismatch", "1"]
        command += ["--variants", out / "v", "--rejected", out / "r", "--accounting", out / "a"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert "Traceback" not in done.stderr, path
        if done.returncode == 0:
            assert len(list(out.iterdir())) == 4
        else:
            assert done.returncode == 2
            assert done.stderr.splitlines()[-1].startswith("error: ")
            assert not out.exists()
