"""Examples of rejected alleles: the first of each reason, escapes undone, early end."""

import gzip

import polars as pl
import pytest

from making.report import some_rejected
from varlm.errors import UserError
from varlm.report.rejected import read_examples
from varlm.tables.schemas import REJECTED
from varlm.variants.rejected import write_rejected

COUNTS = {"symbolic": 7, "contig_unknown": 1, "ref_mismatch": 1}


def test_first_rows_of_each_reason(tmp_path):
    rows = some_rejected()
    write_rejected(rows, tmp_path / "r.tsv.gz")
    examples = read_examples(tmp_path / "r.tsv.gz", COUNTS, 3)
    assert examples.schema == pl.Schema(REJECTED.schema)
    expected = pl.concat([rows.filter(reason=reason).head(3) for reason in COUNTS])
    assert examples.sort("record").equals(expected.sort("record"))


def test_escapes_are_undone(tmp_path):
    odd = "=cmd|' /C\\calc'\t\n<b>"
    rows = pl.DataFrame(
        [(odd, "1", odd, "A", "C", "symbolic", odd, 0, 0, 1)], schema=REJECTED.schema, orient="row"
    )
    write_rejected(rows, tmp_path / "r.tsv.gz")
    assert read_examples(tmp_path / "r.tsv.gz", {"symbolic": 1}, 5).equals(rows)


def test_reading_ends_with_the_last_example(tmp_path):
    write_rejected(some_rejected(), tmp_path / "r.tsv.gz")
    text = gzip.decompress((tmp_path / "r.tsv.gz").read_bytes())
    lines = text.splitlines(keepends=True)
    # What comes after the rows that are wanted is no table at all.
    (tmp_path / "r.tsv.gz").write_bytes(gzip.compress(b"".join([*lines[:4], b"x\n", b"y\n"])))
    assert read_examples(tmp_path / "r.tsv.gz", {"symbolic": 7}, 3).height == 3


def test_file_of_another_run_is_refused(tmp_path):
    write_rejected(some_rejected(), tmp_path / "r.tsv.gz")
    with pytest.raises(UserError, match=r"fewer rows of the reason 'ref_mismatch'.*\(2\)"):
        read_examples(tmp_path / "r.tsv.gz", {**COUNTS, "ref_mismatch": 2}, 5)


def test_cut_file_is_refused(tmp_path):
    write_rejected(some_rejected(), tmp_path / "r.tsv.gz")
    data = (tmp_path / "r.tsv.gz").read_bytes()
    (tmp_path / "r.tsv.gz").write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match="cannot be read"):
        read_examples(tmp_path / "r.tsv.gz", COUNTS, 5)
