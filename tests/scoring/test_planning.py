"""The plan: unique rows in genome order, each exactly once, without what the store holds."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from making.planning import variants
from varlm.errors import UserError
from varlm.genome.encoding import index_reference
from varlm.genome.reference import Genome
from varlm.scoring import planning
from varlm.scoring.cutting import shards
from varlm.scoring.planning import ALLELE_COST, CohortRows, SiteRows, Tally, new_rows
from varlm.scoring.unscored import alleles_without_score
from varlm.store import ALLELE_SCHEMA, SITE_SCHEMA, Store
from varlm.tables.schemas import LOGIT_COLUMNS, SHARD


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    folder = tmp_path_factory.mktemp("genome")
    (folder / "g.fa").write_text(">b\n" + "ACGT" * 10 + "\n>a\n" + "GGCC" * 10 + "\n")
    index_reference(folder / "g.fa", folder / "reference")
    return Genome.open(folder / "reference")


def test_unique_sites_in_genome_order_less_the_store(tmp_path, genome):
    one = variants(tmp_path / "1.parquet", [("a", 3, "C", "T"), ("b", 9, "A", "C")])
    two = variants(
        tmp_path / "2.parquet",
        [
            ("b", 9, "A", "G"),
            ("b", 2, "C", "T"),
            ("b", 2, "C", "CA"),
            ("b", 2, "C", "CA"),
            ("b", 4, "T", "TT"),
        ],
    )
    store = Store(tmp_path / "store")
    known = pl.DataFrame({"pos": [2]}, schema_overrides=SITE_SCHEMA).with_columns(
        pl.lit(0.0, dtype=pl.Float32).alias(n) for n in SITE_SCHEMA if n != "pos"
    )
    allele = pl.DataFrame(
        {"pos": [4], "ref": ["T"], "alt": ["TT"], "llr_fwd": [0.0], "llr_rev": [0.0]},
        schema=ALLELE_SCHEMA,
    )
    digest = genome["b"].digest
    store.commit("k", {}, [(digest, known)], [(digest, allele)])

    tally = Tally()
    wanted = {"one": CohortRows(one), "two": CohortRows(two)}
    rows = pl.concat(new_rows(wanted, genome, store, "k", tally))
    assert rows.rows() == [("b", 2, "C", "CA"), ("b", 9, None, None), ("a", 3, None, None)]
    assert rows.schema == pl.Schema(SHARD.schema)
    total = tally.total
    assert (total.sites, total.sites_from_store, total.sites_scored) == (3, 1, 2)
    assert (total.alleles, total.alleles_from_store, total.alleles_scored) == (2, 1, 1)
    second = tally.cohorts["two"]
    assert (second.sites, second.sites_from_store, second.sites_scored) == (2, 1, 1)
    assert tally.cohorts["one"].alleles == 0


def test_fault_38_rows_out_of_order_are_an_error(tmp_path, genome):
    path = variants(tmp_path / "v.parquet", [("b", 2, "C", "T"), ("b", 9, "A", "C")])
    pl.read_parquet(path).reverse().write_parquet(path)
    with pytest.raises(UserError, match=r"v.parquet: not sorted by position"):
        list(new_rows({"v": CohortRows(path)}, genome, Store(tmp_path / "s"), "k", Tally()))


def test_fault_38_of_several_small_contigs(tmp_path, genome):
    rows = [("b", 2, "C", "T"), ("b", 9, "A", "C"), ("a", 3, "C", "T")]
    path = variants(tmp_path / "v.parquet", rows)
    pl.read_parquet(path)[[1, 0, 2]].write_parquet(path)
    with pytest.raises(UserError, match=r"v.parquet: not sorted by position"):
        list(new_rows({"v": CohortRows(path)}, genome, Store(tmp_path / "s"), "k", Tally()))


def test_small_contigs_are_planned_together(tmp_path):
    contigs = [f"c{n}" for n in range(300)]
    sequences = {contig: "ACGT" * 5 + "AC" * (n % 150) for n, contig in enumerate(contigs)}
    (tmp_path / "g.fa").write_text("".join(f">{n}\n{s}\n" for n, s in sequences.items()))
    index_reference(tmp_path / "g.fa", tmp_path / "reference")
    genome = Genome.open(tmp_path / "reference")
    cohort = variants(tmp_path / "v.parquet", [(contig, 3, "G", "T") for contig in contigs[::2]])
    wanted = {"v": CohortRows(cohort), "b": SiteRows({contigs[-1]: np.array([7], np.uint32)})}
    tally = Tally()
    (rows,) = new_rows(wanted, genome, Store(tmp_path / "s"), "k", tally)
    # c0 and c150, c2 and c152 … are one sequence: each site is asked for once.
    expected = [(contig, 3, None, None) for contig in contigs[:150:2]]
    assert rows.rows() == [*expected, (contigs[-1], 7, None, None)]
    assert (tally.total.sites, tally.total.sites_scored) == (151, 76)
    assert (tally.cohorts["v"].sites_scored, tally.cohorts["b"].sites_scored) == (75, 1)


ALLELE = st.sampled_from([("A", "C"), ("A", "G"), ("A", "AT"), ("AC", "A")])
COHORT = st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 12), ALLELE), max_size=25)


@given(
    cohorts=st.lists(COHORT, min_size=1, max_size=3),
    sites=st.sets(st.integers(1, 12)),
    known=st.sets(st.tuples(st.sampled_from("ab"), st.integers(1, 12))),
    block=st.integers(1, 9),
)
def test_any_cohorts_and_block_size_give_the_set_difference(
    tmp_path_factory, genome, cohorts, sites, known, block
):
    folder = tmp_path_factory.mktemp("plan")
    store = Store(folder / "store")
    rows = {c: [p for contig, p in known if contig == c] for c in "ab"}
    pieces = [
        (genome[c].digest, pl.DataFrame({"pos": sorted(p), **dict.fromkeys(LOGIT_COLUMNS, 0.0)}))
        for c, p in rows.items()
        if p
    ]
    store.commit("k", {}, pieces)
    wanted = {"(sites)": SiteRows({"a": np.array(sorted(sites), np.uint32)})}
    expected = {("a", pos, None, None) for pos in sites}
    for number, cohort in enumerate(cohorts):
        listed = [(contig, pos, ref, alt) for contig, pos, (ref, alt) in cohort]
        listed.sort(key=lambda row: (row[0] == "a", row))
        wanted[str(number)] = CohortRows(variants(folder / f"{number}.parquet", listed))
        expected |= {
            (contig, pos, *((None, None) if len(ref) == len(alt) else (ref, alt)))
            for contig, pos, ref, alt in listed
        }
    asked = len({row for row in expected if row[2] is None})
    expected = {row for row in expected if row[2] or (row[0], row[1]) not in known}
    tally = Tally()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "BLOCK", block)
        found = [
            row for piece in new_rows(wanted, genome, store, "k", tally) for row in piece.rows()
        ]
    assert len(found) == len(set(found))
    assert set(found) == expected
    order = [(contig == "a", pos, ref or "", alt or "") for contig, pos, ref, alt in found]
    assert order == sorted(order)
    assert tally.total.sites == asked
    assert tally.total.sites_scored == len([row for row in found if row[2] is None])
    assert tally.total.alleles == tally.total.alleles_scored
    assert tally.cohorts["(sites)"].sites == len(sites)


def test_contigs_of_one_sequence_are_scored_once(tmp_path, make_reference):
    genome = Genome.open(make_reference({"x": "ACGT" * 5, "y": "ACGT" * 5, "z": "ACGA" * 5}))
    rows = [("x", 2, "C", "T"), ("y", 2, "C", "A"), ("y", 6, "C", "CA"), ("z", 2, "C", "T")]
    cohort = CohortRows(variants(tmp_path / "v.parquet", rows))
    tally = Tally()
    found = pl.concat(new_rows({"v": cohort}, genome, Store(tmp_path / "s"), "k", tally))
    assert found.rows() == [("x", 2, None, None), ("y", 6, "C", "CA"), ("z", 2, None, None)]
    assert (tally.total.sites, tally.total.sites_scored) == (3, 2)


@given(COHORT, st.integers(1, 8))
def test_without_alleles_a_cohort_asks_for_its_sites_alone(genome, tmp_path_factory, rows, block):
    folder = tmp_path_factory.mktemp("sites")
    listed = [(contig, pos, *alleles) for contig, pos, alleles in rows]
    listed.sort(key=lambda row: (row[0] == "a", row))
    path = variants(folder / "v.parquet", listed)
    planned = {}
    for alleles in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(planning, "BLOCK", block)
            cohort, tally = CohortRows(path, alleles), Tally()
            pieces = new_rows({"v": cohort}, genome, Store(folder / "s"), "k", tally)
            planned[alleles] = [row for piece in pieces for row in piece.rows()]
        assert tally.total.alleles == sum(row[2] is not None for row in planned[alleles])
    assert planned[False] == [row for row in planned[True] if row[2] is None]
    others = {row for row in listed if (len(row[2]), len(row[3])) != (1, 1)}
    assert alleles_without_score(path) == len(others)


def test_a_cohort_without_variants(tmp_path, genome):
    empty = variants(tmp_path / "0.parquet", [])
    tally = Tally()
    assert (
        list(new_rows({"none": CohortRows(empty)}, genome, Store(tmp_path / "s"), "k", tally)) == []
    )
    assert tally.cohorts["none"].sites == 0


@given(
    pieces=st.lists(st.lists(st.booleans(), min_size=1, max_size=12), max_size=5),
    size=st.integers(1, 9),
)
def test_shards_keep_every_row_once_in_order_and_in_size(pieces, size):
    frames = [
        pl.DataFrame(
            [("c", 100 * i + j, "A" if is_allele else None, None) for j, is_allele in enumerate(p)],
            schema=SHARD.schema,
            orient="row",
        )
        for i, p in enumerate(pieces)
    ]
    cut = list(shards(iter(frames), size))
    if not frames:
        assert cut == []
        return
    assert pl.concat(cut).equals(pl.concat(frames))
    cost = [(s["ref"].is_not_null().cast(pl.Int8) * (ALLELE_COST - 1) + 1).sum() for s in cut]
    assert all(c <= max(size, ALLELE_COST) for c in cost)
    assert all(s.height for s in cut)
    # No shard could have been merged into the one before it.
    first = [ALLELE_COST if s["ref"][0] else 1 for s in cut]
    assert all(a + b > size for a, b in zip(cost, first[1:], strict=False))


def test_rows_whose_scores_could_not_be_kept_are_an_error(tmp_path, monkeypatch):
    store = Store(tmp_path / "store")
    rows = [pl.DataFrame({"pos": [1]}), pl.DataFrame({"pos": [2]})]
    assert list(planning.storable(iter(rows), store, "k")) == rows
    monkeypatch.setattr(Store, "writable", lambda *_: False)
    assert list(planning.storable(iter([]), store, "k")) == []  # nothing to score, nothing to keep
    with pytest.raises(UserError, match="the store cannot be written: no score would be kept"):
        list(planning.storable(iter(rows), store, "k"))
