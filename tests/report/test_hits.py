"""The table of top hits: union over models, columns, and a size that holds."""

import base64
import gzip
import json

import polars as pl
import pytest

from making.report import EXTRA, make_inputs
from varlm.report import hits
from varlm.report.links import BrowserLink
from varlm.results.top_hits import top_hits
from varlm.tables.parquet import Column
from varlm.tables.schemas import annotated

MODELS = ["gpn", "other"]


@pytest.fixture(scope="module")
def best(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hits")
    make_inputs(folder, rows=900, models=tuple(MODELS))
    return top_hits(folder / "annotated.parquet", MODELS, 40)


def unpacked(table):
    return json.loads(gzip.decompress(base64.b64decode(table.data)))


def make(rows, table=None, links=(), **options):
    return hits.hit_table(rows, table or annotated(MODELS, EXTRA), MODELS, links, {}, **options)


def test_union_has_each_hit_once_the_best_ranks_first(best):
    rows = hits.union(best)
    keys = [set(frame["record"]) for frame in best.values()]
    assert set(rows["record"]) == keys[0] | keys[1]
    assert rows.height == len(keys[0] | keys[1])
    assert rows["record"][0] in {frame["record"][0] for frame in best.values()}
    ranks = [
        min(
            list(frame["record"]).index(record)
            for frame in best.values()
            if record in set(frame["record"])
        )
        for record in rows["record"]
    ]
    assert ranks == sorted(ranks)


def test_values_are_the_tables(best):
    rows = hits.union(best)
    data = unpacked(make(rows))
    names = [column["name"] for column in data["columns"]]
    assert names[:10] == [
        *("chrom", "pos", "id", "ref", "alt", "consequence", "gene", "protein_change", "af"),
        "gpn_llr",
    ]
    assert {"info_CLNSIG", "repeats_overlap", "phylop", "other_p_alt"} <= set(names)
    first = dict(zip(names, data["rows"][0], strict=True))
    for name, value in first.items():
        exact = rows[name][0]
        assert value == (pytest.approx(exact, rel=1e-5) if isinstance(exact, float) else exact)


def test_columns_without_a_value_are_left_out(best):
    rows = hits.union(best).with_columns(pl.lit(None, pl.String).alias("gene"))
    names = [column["name"] for column in unpacked(make(rows))["columns"]]
    assert "gene" not in names
    assert "consequences" not in names


def test_nested_consequences_are_text(best):
    rows = hits.union(best)
    dtype = rows.schema["consequences"]
    entry = {"consequence": "stop_gained", "gene": "A", "transcript": "T1", "strand": "+"}
    rows = rows.with_columns(pl.Series("consequences", [[entry, entry]] * rows.height, dtype=dtype))
    data = unpacked(make(rows))
    at = [column["name"] for column in data["columns"]].index("consequences")
    assert data["rows"][0][at] == "stop_gained A T1 +; stop_gained A T1 +"


def test_long_text_is_cut_and_counted(best):
    rows = hits.union(best).with_columns(pl.lit("x" * 5000).alias("info_CLNSIG"))
    table = make(rows)
    assert table.cut_cells == rows.height
    data = unpacked(table)
    at = [column["name"] for column in data["columns"]].index("info_CLNSIG")
    assert {len(row[at]) for row in data["rows"]} == {200}


def test_budget_holds_whatever_the_rows_hold(best):
    import random

    draw = random.Random(0)
    rows = hits.union(best)
    extra = [*EXTRA, *(Column(f"info_{i}", pl.String(), "noise") for i in range(30))]
    rows = rows.with_columns(
        pl.Series(f"info_{i}", [f"{draw.getrandbits(1000):x}" for _ in range(rows.height)])
        for i in range(30)
    )
    wide = annotated(MODELS, extra)
    for budget in (40_000, 12_000):
        table = make(rows.select(wide.names), wide, budget=budget)
        assert len(table.data) <= budget
        assert table.total == rows.height
        assert len(unpacked(table)["rows"]) == table.rows
        assert table.text_limit == 20
    assert table.rows < table.total


def test_links_follow_the_rows(best):
    rows = hits.union(best)
    link = BrowserLink.parse("B=https://a.example/{chrom}/{pos}")
    data = unpacked(make(rows, links=[link]))
    assert data["browsers"] == ["B"]
    expected = [[f"https://a.example/{c}/{p}"] for c, p in rows.select("chrom", "pos").iter_rows()]
    assert data["links"] == expected
