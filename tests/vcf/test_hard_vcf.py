"""Every file of hard-vcf/ ends in whole tables, or in one clear error; never otherwise."""

import logging
import subprocess
import sys

import polars as pl
import pytest

from making.hard_vcf import crude_records, hard_files, permissive_genome
from varlm.errors import UserError
from varlm.variants.cohort import REASONS, CohortVcf, NormaliseOptions, normalise

pytestmark = [pytest.mark.real_data, pytest.mark.slow]


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
    assert result.accounting.files[0].records == len(records)
    expected = sum(fields[4].count(",") + 1 for fields in records)
    assert result.variants.height + result.rejected.height == expected
    assert set(result.rejected["reason"]) <= set(REASONS)
    keys = pl.concat(
        [table.select("record", "allele") for table in (result.variants, result.rejected)]
    )
    assert keys.is_unique().all()
    return result


@pytest.mark.slow
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
