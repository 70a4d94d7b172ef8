"""The plan: unique rows in genome order, each exactly once, without what the store holds."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from varlm import planning
from varlm.planning import ALLELE_COST, Tally, new_rows, shards
from varlm.reference import Genome
from varlm.schemas import SHARD, VARIANTS
from varlm.store import ALLELE_SCHEMA, SITE_SCHEMA, Store


def variants(path, rows):
    """Write a variants.parquet of (contig, pos, ref, alt) rows."""
    frame = pl.DataFrame(
        [
            {
                "chrom": contig,
                "contig": contig,
                "pos": pos,
                "ref": ref,
                "alt": alt,
                "kind": "snv" if len(ref) == len(alt) == 1 else "ins",
                "record": index,
            }
            for index, (contig, pos, ref, alt) in enumerate(rows)
        ],
        schema_overrides=VARIANTS.schema,
    )
    missing = [pl.lit(None, dtype=t).alias(n) for n, t in VARIANTS.schema.items()]
    frame = frame.with_columns(m for m in missing if m.meta.output_name() not in frame.columns)
    frame.select(VARIANTS.names).write_parquet(path)
    return path


@pytest.fixture
def genome(make_reference):
    return Genome.open(make_reference({"b": "ACGT" * 10, "a": "GGCC" * 10}))


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
    rows = pl.concat(new_rows({"one": one, "two": two}, genome, store, "k", tally))
    assert rows.rows() == [("b", 2, "C", "CA"), ("b", 9, None, None), ("a", 3, None, None)]
    assert rows.schema == pl.Schema(SHARD.schema)
    total = tally.total
    assert (total.sites, total.sites_from_store, total.sites_scored) == (3, 1, 2)
    assert (total.alleles, total.alleles_from_store, total.alleles_scored) == (2, 1, 1)
    second = tally.cohorts["two"]
    assert (second.sites, second.sites_from_store, second.sites_scored) == (2, 1, 1)
    assert tally.cohorts["one"].alleles == 0


@pytest.mark.parametrize("block", [1, 3, 1000])
def test_any_block_size_reads_the_same_rows(tmp_path, monkeypatch, block):
    monkeypatch.setattr(planning, "BLOCK", block)
    rows = [(f"c{i}", pos, "A", alt) for i in range(5) for pos in (2, 3) for alt in ("C", "AT")]
    cohort = planning.CohortRows(variants(tmp_path / "v.parquet", rows))
    for contig in ("c0", "c3", "c1", "c4", "absent"):
        here = [(pos, ref, alt) for name, pos, ref, alt in rows if name == contig]
        assert cohort.wanted(contig, "sites")["pos"].to_list() == sorted({p for p, *_ in here})
        assert cohort.wanted(contig, "alleles").rows() == [r for r in here if r[2] == "AT"]
    assert "absent" not in cohort


def test_a_cohort_without_variants(tmp_path, genome):
    empty = variants(tmp_path / "0.parquet", [])
    tally = Tally()
    assert list(new_rows({"none": empty}, genome, Store(tmp_path / "s"), "k", tally)) == []
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
