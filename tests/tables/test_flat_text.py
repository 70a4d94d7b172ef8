"""The nested column and lists as text that can be taken apart again."""

from urllib.parse import unquote

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from varlm.tables.flat_text import FIELDS, consequence_text, flat, markings
from varlm.tables.parquet import Column
from varlm.tables.schemas import CONSEQUENCES, annotated
from varlm.tables.tsv import tsv_rows

NESTED = CONSEQUENCES.schema["consequences"]
TEXT = st.one_of(
    st.none(), st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
)
ENTRY = st.fixed_dictionaries(
    {
        "consequence": st.sampled_from(["missense_variant", "stop_gained&splice_region_variant"]),
        "impact": st.sampled_from(["HIGH", "LOW"]),
        "gene": TEXT,
        "gene_id": TEXT,
        "transcript": TEXT,
        "biotype": st.sampled_from(["protein_coding", "a b", None]),
        "strand": st.sampled_from("+-"),
        "protein_change": st.sampled_from(["1M>1V", "7*", None]),
    }
)


@given(st.lists(st.one_of(st.none(), st.lists(ENTRY, min_size=1, max_size=3)), max_size=6))
def test_the_text_can_be_read_back(rows):
    texts = consequence_text(pl.Series("consequences", rows, dtype=NESTED)).to_list()
    for row, text in zip(rows, texts, strict=True):
        if row is None:
            assert text is None
            continue
        entries = text.split(",")
        assert len(entries) == len(row)
        for entry, expected in zip(entries, row, strict=True):
            values = dict(zip(FIELDS, entry.split("|"), strict=True))
            assert {k: unquote(v) for k, v in values.items()} == {
                k: v or "" for k, v in expected.items()
            }


def row(**values):
    """One row of an annotated table with two INFO lists, the rest null."""
    table = annotated(
        ["m"],
        [Column("info_X", pl.List(pl.Int64()), ""), Column("info_CSQ", pl.List(pl.String()), "")],
    )
    frame = pl.DataFrame({name: [values.get(name)] for name in table.names}, table.schema)
    return flat(frame, table).row(0, named=True)


def test_lists_are_joined_and_missing_elements_are_dots():
    shown = row(info_X=[1, None, -3], info_CSQ=["a|b", "c"], chrom="1", ref="A", alt="C")
    assert shown["info_X"] == "1,.,-3"
    assert shown["info_CSQ"] == "a|b,c"
    assert shown["consequences"] is None


def test_fault_55_names_and_info_that_a_spreadsheet_would_run():
    table = annotated(["m"], [Column("info_CSQ", pl.List(pl.String()), "")])
    values = {"gene": "=cmd|' /C calc'!A0", "info_CSQ": ["@x\ty"], "nearest_gene": "+1"}
    values["strand"] = "-"
    frame = pl.DataFrame({name: [values.get(name)] for name in table.names}, table.schema)
    text = tsv_rows(flat(frame, table), markings(frame.lazy(), table, 10)).decode()
    shown = dict(zip(table.names, text.rstrip("\n").split("\t"), strict=True))
    assert shown["gene"].startswith("'=")
    assert shown["info_CSQ"] == "'@x\\x09y"
    assert shown["nearest_gene"] == "'+1"
    assert shown["strand"] == "-"
    assert shown["id"] == ""


def test_floats_have_six_digits_in_both_widths():
    shown = row(m_llr=-1.23456789, tss_distance=-12)
    assert f"{shown['m_llr']:.9g}"[:8] == "-1.23457"
    assert shown["tss_distance"] == -12
