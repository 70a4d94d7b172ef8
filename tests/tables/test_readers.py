"""What pandas, polars, DuckDB, csv and R read, with their defaults, is what was written."""

import random
from pathlib import Path
from typing import Any

import polars as pl
import pysam
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from making.readers import (
    HAS_R,
    READERS,
    check_columns,
    same,
    with_csv,
    with_duckdb,
    with_r,
)
from varlm.results.export import export_tsv
from varlm.tables.flat_text import flat
from varlm.tables.parquet import Column, write_table
from varlm.tables.schemas import CONSEQUENCES, REJECTED, annotated
from varlm.tables.spreadsheet import NUMBERS, TEXT, TYPED, escaped
from varlm.tables.tsv import read_tsv, write_tsv
from varlm.variants.rejected import write_rejected

needs_r = pytest.mark.skipif(not HAS_R, reason="needs R (Rscript)")

_WORDS = r"""
NA N/A n/a nan NaN NAN -nan null NULL Null None none <NA> #N/A #NA 1.#IND -1.#QNAN nil \N . -
true TRUE True tRUE false FALSE T F t f yes no Y N y n on off + * # ## #chr1 // %
0 1 -1 +1 00 01 007 -0 1. .5 0.5 1.50 1e5 1E5 1e 12E 1e+ 1e400 1_000 1,000 12D 12L 1i 3+2i
0x10 0x1p3 0b1 inf Inf -inf +inf infinity Infinity epoch 1/2 5% $5 ٣ １２ ½
2024-01-01 2024/1/1 01.02.2024 20240101 12:30 12:30:00.5 2024-01-01T10:00:00Z 1-Jan SEP2
2147483648 9223372036854775808 123456789012345 1234567890123456 99999999999999999999
= =1+1 '=1 @a +a -a ' '' 'NA 'a a' 'a' \''' " "" "a a" "a" a"b "NA" \ \x \x22 \"
a|b;c,d [1,2] {a:1} 1A>2B 12A 1:12345:A:G 5'UTR rs1 chrX é 😀
"""
WORDS = [
    *_WORDS.split(),
    *("", " ", "  ", "a ", " a", " 1", "1 ", " NA ", " T", "' ", " '", "2024 01 01", "a b"),
    *("a\tb", "a\nb", "\n", "\r", "a\r\nb", '"\n"', "NA\n", "1\n", "'\n", "\0", "\x7f"),
    *("\x85", "\u2028", "\ufeff", "\ufeffNA", "\u00a0", "1\u2003", "\u2003", "x" * 5000),
]
ALPHABETS = [
    *("'\"\\x27", "NAnu/#<>", "0123456789.eE+-xi", "TFtf", "'\t\n\r\" a\0", "=+-@'\"", "|;, '"),
    *("0123456789-/:. T", "é\u2028\x85\ufeff٣1", "' "),
]
HOSTILE = st.one_of(
    st.sampled_from(WORDS),
    *(st.text(letters, min_size=1, max_size=8) for letters in ALPHABETS),
    st.text(st.characters(codec="utf-8"), max_size=6),
)


@st.composite
def _tables(draw):
    rows = draw(st.integers(1, 4))
    column = st.one_of(
        st.lists(st.none() | HOSTILE, min_size=rows, max_size=rows),
        HOSTILE.map(lambda text: [text] * rows),
    )
    return draw(st.lists(column, min_size=1, max_size=4))


def written(path, columns):
    """Write columns of text beside one of numbers; return what was written."""
    names = [f"c{number}" for number in range(len(columns))]
    table = {"pos": list(range(1, len(columns[0]) + 1)), **dict(zip(names, columns, strict=True))}
    schema = {"pos": pl.Int64, **dict.fromkeys(names, pl.String)}
    write_tsv(pl.DataFrame(table, schema), path)
    return table


@given(_tables())
@example([['"a', 'b"', "c"]])
@example([["NA", None, ""], ["nan", "null", "x"]])
@example([["'", "a", "'"]])
@example([["  "] * 8])
@example([["1"] * 120 + ["X"], ["1.5"] * 120 + ["2"], ["x"] + ["007"] * 120])
def test_any_text_comes_back(tmp_path_factory, columns):
    path = tmp_path_factory.mktemp("tsv") / "t.tsv"
    table = written(path, columns)
    for name, read in READERS.items():
        check_columns(read(path), table, name)
    back = read_tsv(path).to_dict(as_series=False)
    assert {name: back[name] for name in table if name != "pos"} == {
        name: cells for name, cells in table.items() if name != "pos"
    }


@given(_tables())
@example([["", "#", "#"], ["a", "a", "a"]])
@example([[None, "#a", "#b"], ["T", "T", "T"]])
def test_any_text_comes_back_where_there_is_no_number(tmp_path_factory, columns):
    path = tmp_path_factory.mktemp("tsv") / "t.tsv"
    table = {
        f"c{number}": column for number, column in enumerate([*columns, ["x"] * len(columns[0])])
    }
    write_tsv(pl.DataFrame(table, dict.fromkeys(table, pl.String)), path)
    for name, read in READERS.items():
        check_columns(read(path), table, name)


def _drawn_column(rng, rows):
    """A column of one word, of few, or of any: what a reader takes it for hangs on all of it."""
    alphabet = rng.choice(ALPHABETS)
    made = ["".join(rng.choices(alphabet, k=rng.randint(1, 9))) for _ in range(6)]
    few = rng.choice(([rng.choice(WORDS)], rng.sample(WORDS, 2), made, [*WORDS, *made]))
    return rng.choices([*few, None] if rng.random() < 0.3 else few, k=rows)


@needs_r
@pytest.mark.slow
@pytest.mark.parametrize(("rows", "columns"), [(1, 400), (5, 400), (4000, 12)])
def test_any_text_comes_back_from_all_five(tmp_path, rows, columns):
    rng = random.Random(rows)
    table = written(tmp_path / "t.tsv", [_drawn_column(rng, rows) for _ in range(columns)])
    for name, read in {**READERS, "R": with_r}.items():
        check_columns(read(tmp_path / "t.tsv"), table, name)


def test_numbers_stay_numbers(tmp_path):
    columns = [["1", "20", None], ["0.5", "20.25", "3.0"], ["rs1", "2", "3"]]
    written(tmp_path / "t.tsv", columns)
    lines = (tmp_path / "t.tsv").read_text().splitlines()
    assert lines[1:] == ["1\t1\t0.5\trs1", "2\t20\t20.25\t'2", "3\t\t3.0\t'3"]


@pytest.fixture(scope="module")
def hostile_cohort(tmp_path_factory):
    """An annotated table of hostile names, and the columns that its TSV has."""
    rng = random.Random(11)
    contigs = [*(word for word in dict.fromkeys(WORDS) if word), "1", "2", "10"]
    rows = len(contigs) * 2
    nested = [_consequences(rng) for _ in range(rows)]
    extra = [
        Column("info_S", pl.String(), ""),
        Column("info_L", pl.List(pl.String()), ""),
        Column("info_N", pl.List(pl.Int64()), ""),
        Column("info_F", pl.Boolean(), ""),
        Column("bed_name", pl.String(), ""),
    ]
    table = annotated(["m"], extra)
    values = {
        "chrom": [contig for contig in contigs for _ in range(2)],
        "pos": [1, 2] * len(contigs),
        **{name: rng.choices("ACGT", k=rows) for name in ("ref", "alt")},
        **{name: _drawn_column(rng, rows) for name in ("id", "gene_id", "transcript", "info_S")},
        "gene": rng.choices(["NA", "nan", '"x', None], k=rows),
        "bed_name": ["T"] * rows,
        "info_L": [rng.choices([*WORDS, None], k=rng.randint(1, 3)) for _ in range(rows)],
        "info_N": [[1]] * (rows - 1) + [[1, 2]],
        "info_F": rng.choices([True, False, None], k=rows),
        "consequences": nested,
        "m_llr": [rng.choice((None, rng.gauss(0, 3))) for _ in range(rows)],
        "record": list(range(rows)),
    }
    frame = pl.DataFrame({n: values.get(n, [None] * rows) for n in table.names}, table.schema)
    folder = tmp_path_factory.mktemp("cohort")
    write_table(frame, folder / "annotated.parquet", table)
    assert export_tsv(folder / "annotated.parquet", ["m"], folder / "annotated.tsv.gz") == rows
    return folder / "annotated.tsv.gz", flat(frame, table).to_dict(as_series=False)


def _consequences(rng):
    (entry,) = CONSEQUENCES.schema["consequences"].inner.fields[:1]
    names = [field.name for field in CONSEQUENCES.schema["consequences"].inner.fields]
    hostile = dict.fromkeys(names, None) | {entry.name: "intron_variant"}
    entries = [
        hostile | {name: rng.choice(WORDS) for name in ("gene", "gene_id", "transcript")}
        for _ in range(rng.randint(1, 3))
    ]
    return rng.choice((None, entries))


@pytest.mark.parametrize("name", [*READERS, pytest.param("R", marks=needs_r)])
def test_the_table_of_a_cohort_of_hostile_names(hostile_cohort, name):
    path, table = hostile_cohort
    check_columns({**READERS, "R": with_r}[name](path), table, name)


@pytest.mark.parametrize("name", [*READERS, pytest.param("R", marks=needs_r)])
def test_the_table_of_rejected_alleles(tmp_path, name):
    rng = random.Random(5)
    texts = [column for column, dtype in REJECTED.schema.items() if dtype == pl.String]
    values = {
        column: [text or "" for text in _drawn_column(rng, 300)] if column in texts else [1] * 300
        for column in REJECTED.names
    }
    values["ref"] = [rng.choice(WORDS) for _ in range(300)]
    values["alt"] = [rng.choice(WORDS) for _ in range(300)]
    write_rejected(pl.DataFrame(values, REJECTED.schema), tmp_path / "rejected.tsv.gz")
    values["detail"] = [text or None for text in values["detail"]]
    check_columns({**READERS, "R": with_r}[name](tmp_path / "rejected.tsv.gz"), values, name)


def test_duckdb_finds_the_tabs_of_an_ordinary_table(hostile_cohort, tmp_path):
    path, table = hostile_cohort
    check_columns(with_duckdb(path, header=True), table, "duckdb")


def test_the_way_back_that_the_documentation_shows():
    page = (Path(__file__).parents[2] / "docs/results.md").read_text()
    (code,) = (block for block in page.split("```python\n")[1:] if "def unescaped" in block)
    shown: dict[str, Any] = {}
    exec(code.split("```")[0], shown)
    for text in WORDS:
        for marking in (TEXT, TYPED, NUMBERS):
            assert shown["unescaped"](escaped(text, marking)) == text


def test_what_is_taken_for_the_same():
    """The comparison itself."""
    assert all(
        map(same, ("'NA", 7, 0.5, 3.0, None, True, "0.5"), ("NA", "7", "0.5", 3, None, True, 0.5))
    )
    assert not any(
        map(
            same,
            (None, True, True, 7, 100000.0, "NA", "", 1),
            ("NA", "T", "true", "007", "1e5", None, None, "x"),
        )
    )


def test_a_table_whose_ref_is_t_everywhere(tmp_path):
    """What is left: it stays T for all who look for T, and R and DuckDB need to be told."""
    table = annotated(["m"])
    values = {"chrom": "1", "pos": 5, "ref": "T", "alt": "T", "gene": "T"}
    frame = pl.DataFrame({n: [values.get(n)] for n in table.names}, table.schema)
    write_table(frame, tmp_path / "a.parquet", table)
    export_tsv(tmp_path / "a.parquet", ["m"], tmp_path / "a.tsv.gz")
    row = {name: cells[0] for name, cells in with_csv(tmp_path / "a.tsv.gz").items()}
    assert (row["chrom"], row["ref"], row["alt"], row["gene"]) == ("1", "T", "T", "'T")
    told = with_duckdb(tmp_path / "a.tsv.gz", sep="\t", dtype={"ref": "VARCHAR", "alt": "VARCHAR"})
    assert (told["ref"], told["alt"]) == (["T"], ["T"])


def test_integers_among_words_in_the_column_of_contigs(tmp_path):
    """They stay, for tabix looks for them; the others are escaped."""
    table = annotated(["m"])
    chrom = [*(["1"] * 3), "X", "007", "NA", "T"]
    frame = pl.DataFrame(
        {"chrom": chrom, "pos": range(1, 8), **{n: [None] * 7 for n in table.names[2:]}},
        table.schema,
    )
    write_table(frame, tmp_path / "a.parquet", table)
    export_tsv(tmp_path / "a.parquet", ["m"], tmp_path / "a.tsv.gz")
    with pysam.TabixFile(str(tmp_path / "a.tsv.gz")) as tsv:
        assert tsv.contigs == ["1", "X", "'007", "'NA", "T"]
        assert len(list(tsv.fetch("1"))) == 3


@pytest.mark.parametrize("name", [*READERS, pytest.param("R", marks=needs_r)])
def test_a_table_without_rows(tmp_path, name):
    write_tsv(annotated(["m"]).empty().drop("consequences"), tmp_path / "t.tsv")
    table = {**READERS, "R": with_r}[name](tmp_path / "t.tsv")
    assert list(table) == [n for n in annotated(["m"]).names if n != "consequences"]
    assert not any(map(list, table.values()))
