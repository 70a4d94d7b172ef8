"""Percentiles: the rank of a score among those of random SNVs of the genome."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from varlm.genome.reference import Genome
from varlm.scoring.background import Percentiles, background_scores, choose
from varlm.store import Store
from varlm.tables.schemas import BACKGROUND, LOGIT_COLUMNS
from varlm.tables.score_kinds import SCORE_KINDS

CONTIGS = {"one": "ACGTNNACGTACGT", "two": "NGGCCAATT", "three": "ACGTTGCA"}


@pytest.fixture
def genome(make_reference):
    return Genome.open(make_reference(CONTIGS))


def filled(folder, genome, strands=2):
    """A store that knows every site, with random logits; and those logits, as a dict."""
    rng = np.random.default_rng(0)
    store, answers, pieces = Store(folder), {}, []
    for contig in genome.names:
        logits = rng.normal(size=(genome[contig].length, 8)).astype("f4")
        if strands == 1:
            logits[:, 4:] = np.nan
        columns = {n: logits[:, i] for i, n in enumerate(LOGIT_COLUMNS)}
        rows = pl.DataFrame({"pos": range(1, len(logits) + 1), **columns}).fill_nan(None)
        pieces.append((genome[contig].digest, rows))
        answers[contig] = logits.reshape(-1, 2, 4)
    store.commit("key", {}, pieces)
    return store, answers


KINDS = [SCORE_KINDS[name] for name in ("masked", "probability", "cosine", "inner_product")]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("strands", [1, 2])
def test_all_three_snvs_of_each_site_from_the_stores_numbers(tmp_path, genome, strands, kind):
    store, answers = filled(tmp_path / "store", genome, strands)
    chosen = choose(genome, 9)
    rows = background_scores(chosen, store, "key", kind)
    assert rows.schema == pl.Schema(BACKGROUND.schema)
    assert rows.height == 27 == 3 * sum(len(p) for p in chosen.sites.values())
    found = {(c, p, r, a): llr for c, p, r, a, llr in rows.iter_rows()}
    for contig, positions in chosen.sites.items():
        for pos in positions.tolist():
            ref = CONTIGS[contig][pos - 1]
            for alt in set("ACGT") - {ref}:
                logits = answers[contig][pos - 1, :strands]
                by_hand = logits[:, "ACGT".index(alt)].mean()
                if kind.difference:
                    by_hand -= logits[:, "ACGT".index(ref)].mean()
                key = (genome[contig].digest, pos, ref, alt)
                assert found.pop(key) == pytest.approx(by_hand, rel=1e-5, abs=1e-6)
    assert not found


def test_a_missing_site_is_named(tmp_path, genome):
    with pytest.raises(LookupError, match="background sites on contig one are not in the store"):
        background_scores(choose(genome, 30), Store(tmp_path), "key")


def test_the_choice_is_the_genomes_own(genome, make_reference):
    """Names, order, case and wrapping do not count; sequence and number do."""
    chosen = choose(genome, 9)
    renamed = {f"chr_{name}": CONTIGS[name].lower() for name in reversed(CONTIGS)}
    again = choose(Genome.open(make_reference(renamed, "renamed")), 9)
    assert again.digest == chosen.digest
    for name, positions in chosen.sites.items():
        assert again.sites[f"chr_{name}"].tolist() == positions.tolist()
    assert choose(genome, 8).digest != chosen.digest
    other = choose(Genome.open(make_reference({"one": CONTIGS["one"]}, "other")), 9)
    assert other.digest != chosen.digest


def test_a_genome_with_fewer_sites_gives_all(genome):
    total = sum(base in "ACGT" for sequence in CONTIGS.values() for base in sequence)
    assert sum(len(p) for p in choose(genome, 10_000).sites.values()) == total
    assert choose(genome, 10_000).digest == choose(genome, total).digest


NUMBERS = st.floats(-20, 20, width=32)


@given(
    st.lists(NUMBERS, min_size=1, max_size=40),
    st.lists(NUMBERS, max_size=10),
    st.sampled_from(list(SCORE_KINDS.values())),
)
def test_percentile_is_the_share_that_is_more_harmful_ties_half(background, asked, kind):
    found = Percentiles(np.array(background), kind.harmful)(np.array(asked))
    for value, percent in zip(asked, found, strict=True):
        below = sum(b > value if kind.harmful == "high" else b < value for b in background)
        equal = sum(b == value for b in background)
        assert percent == pytest.approx(100 * (below + equal / 2) / len(background))


def test_percentiles_keep_order_and_ends():
    ranks = Percentiles(np.array([-1.0, 0.0, 1.0, 2.0]))(np.array([-9.0, -1.0, 0.5, 9.0, np.nan]))
    np.testing.assert_array_equal(ranks, [0.0, 12.5, 50.0, 100.0, np.nan])
    ranks = Percentiles(np.array([0.0, 1.0, 2.0, 4.0]), "high")
    np.testing.assert_array_equal(ranks(np.array([9.0, 4.0, 1.5, 0.0])), [0.0, 12.5, 50.0, 87.5])
