"""Calibration by mutation context: what it must leave, what it must take away."""

from collections import defaultdict
from itertools import product

import numpy as np
import polars as pl
import pytest

from varlm.annotation import mutation_calibration
from varlm.annotation.mutation_calibration import (
    LEAST,
    ContextCounts,
    MutationCalibration,
    context_means,
    coverage,
)
from varlm.genome.reference import Genome
from varlm.tables.schemas import BACKGROUND, CONTEXT_MEANS

COMPLEMENT = str.maketrans("ACGT", "TGCA")


def turned(text):
    return text.translate(COMPLEMENT)[::-1]


def snvs_of(contigs):
    """Every SNV of sequences: `contig`, `pos`, `ref`, `alt`, in order."""
    rows = [
        (contig, pos, ref, alt)
        for contig, sequence in contigs.items()
        for pos, ref in enumerate(sequence, 1)
        for alt in "ACGT"
        if ref in "ACGT" and alt != ref
    ]
    return pl.DataFrame(rows, ["contig", "pos", "ref", "alt"], orient="row")


def key(sequence, pos, alt, flank):
    """The k-mer around a site with its ALT, on the strand whose first base is the lesser text."""
    window = sequence[max(pos - 1 - flank, 0) : pos + flank]
    if len(window) <= 2 * flank or set(window) - set("ACGT"):
        return None
    return min((window, alt), (turned(window), turned(alt)))


def background_of(genome, snvs, scores):
    digests = [genome[contig].stored_as for contig in snvs["contig"]]
    return BACKGROUND.check(
        snvs.with_columns(
            pl.Series("contig", digests, pl.String),
            pl.col("pos").cast(pl.UInt32),
            pl.Series("llr", scores, pl.Float32),
        ),
        "the background",
    )


def random_contigs(seed, **lengths):
    rng = np.random.default_rng(seed)
    return {name: "".join(rng.choice([*"ACGT"], n)) for name, n in lengths.items()}


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A genome in which every 5-mer change is at 100 sites or more; its SNVs; their keys."""
    from varlm.genome.encoding import index_reference

    folder = tmp_path_factory.mktemp("large")
    contigs = random_contigs(1, one=60_000, two=40_000)
    (folder / "g.fa").write_text("".join(f">{n}\n{s}\n" for n, s in contigs.items()))
    index_reference(folder / "g.fa", folder / "reference")
    snvs = snvs_of(contigs)
    keys = [key(contigs[c], pos, alt, 2) for c, pos, _, alt in snvs.iter_rows()]
    return Genome.open(folder / "reference"), snvs, keys


def calibrated(genome, snvs, scores):
    """Scores of all SNVs, calibrated by themselves, and the calibration."""
    calibration = MutationCalibration(
        context_means(background_of(genome, snvs, scores), genome), genome
    )
    return calibration(snvs, np.asarray(scores, np.float64)), calibration


def of_contexts(keys, seed):
    """A random function of the 5-mer and ALT, at SNVs with such keys."""
    rng = np.random.default_rng(seed)
    value = defaultdict(lambda: rng.normal(0, 3))
    return np.array([value[k] for k in keys])


def test_what_a_context_alone_says_is_taken_away(large):
    genome, snvs, keys = large
    scores, calibration = calibrated(genome, snvs, of_contexts(keys, 2))
    inside = np.array([k is not None for k in keys])
    np.testing.assert_allclose(scores[inside], 0, atol=1e-5)
    assert inside.sum() == snvs.height - 24
    # One base of each end of a contig has a neighbour on each side, but not two.
    assert calibration.counts == ContextCounts(snvs.height - 24, 12, 12)
    assert np.isnan(scores[:3]).all()


def test_what_is_added_by_context_changes_nothing(large):
    genome, snvs, keys = large
    plain = np.random.default_rng(3).normal(-1, 2, snvs.height)
    before, _ = calibrated(genome, snvs, plain)
    after, _ = calibrated(genome, snvs, plain + of_contexts(keys, 4))
    inside = np.array([k is not None for k in keys])
    np.testing.assert_allclose(after[inside], before[inside], atol=1e-5)
    assert np.abs(before[inside] - plain[inside]).max() > 0.5


def test_both_strands_are_one(large, make_reference):
    genome, snvs, _ = large
    contigs = {name: bytes(genome.sequence(name)).decode() for name in genome.names}
    other = Genome.open(make_reference({name: turned(s) for name, s in contigs.items()}))
    length = pl.col("contig").replace_strict(genome.lengths, return_dtype=pl.Int64)
    mirrored = snvs.select(
        "contig",
        (length + 1 - pl.col("pos")).alias("pos"),
        *(
            pl.col(name).replace_strict(dict(zip("ACGT", "TGCA", strict=True)))
            for name in ("ref", "alt")
        ),
    )
    scores = np.random.default_rng(5).normal(size=snvs.height)
    one, _ = calibrated(genome, snvs, scores)
    turned_scores, _ = calibrated(other, mirrored, scores)
    np.testing.assert_allclose(turned_scores, one, atol=1e-12)


def test_means_are_those_of_a_loop(make_reference, monkeypatch):
    monkeypatch.setattr(mutation_calibration, "LEAST", 4)
    contigs = random_contigs(6, one=500, two=300)
    contigs["two"] = contigs["two"][:100] + "NNR" + contigs["two"][100:]
    genome = Genome.open(make_reference(contigs))
    snvs = snvs_of(contigs)
    scores = np.random.default_rng(7).normal(size=snvs.height)
    drawn = np.random.default_rng(8).permutation(len(contigs["one"]))[:400] + 1
    drawn = (snvs["contig"] == "one").to_numpy() & np.isin(snvs["pos"].to_numpy(), drawn)
    stored = scores.astype(np.float32).astype(np.float64)
    groups = {flank: defaultdict(list) for flank in (2, 1)}
    for row in np.flatnonzero(drawn):
        contig, pos, _, alt = snvs.row(row)
        for flank, group in groups.items():
            group[key(contigs[contig], pos, alt, flank)].append(stored[row])
    expected, counts = [], ContextCounts()
    for row, (contig, pos, _, alt) in enumerate(snvs.iter_rows()):
        keys = {flank: key(contigs[contig], pos, alt, flank) for flank in groups}
        told = [f for f, k in keys.items() if k is not None and len(groups[f].get(k, [])) >= 4]
        field = {2: "pentamer", 1: "trinucleotide"}[told[0]] if told else "none"
        setattr(counts, field, getattr(counts, field) + 1)
        mean = np.mean(groups[told[0]][keys[told[0]]]) if told else np.nan
        expected.append(scores[row] - mean)
    means = context_means(background_of(genome, snvs.filter(drawn), scores[drawn]), genome)
    calibration = MutationCalibration(means, genome)
    np.testing.assert_allclose(calibration(snvs, scores), expected, atol=1e-12)
    assert calibration.counts == counts
    assert min(counts.pentamer, counts.trinucleotide, counts.none) > 10


def test_the_table_has_every_context_with_its_sites_and_spread(large):
    genome, snvs, keys = large
    scores = np.random.default_rng(9).normal(size=snvs.height)
    means = context_means(background_of(genome, snvs, scores), genome)
    assert CONTEXT_MEANS.check(means, "means").height == 1536 + 96
    row = means.row(by_predicate=pl.col("context") == "AC[C>T]TG", named=True)
    ours = np.array([k == key("ACCTG", 3, "T", 2) for k in keys])
    assert row["sites"] == ours.sum() > 100
    assert row["mean"] == pytest.approx(scores[ours].mean(), abs=1e-6)
    assert row["sd"] == pytest.approx(scores[ours].std(ddof=1), abs=1e-6)


@pytest.mark.parametrize(("sites", "falls_back"), [(LEAST - 1, True), (LEAST, False)])
def test_a_cell_counts_from_100_sites_on(make_reference, sites, falls_back):
    # GATCT and GATCA: one trinucleotide change in two 5-mers.
    contigs = {"c": "GGATCTGATCAC" * 110}
    genome = Genome.open(make_reference(contigs))
    starts = np.arange(110) * 12
    chosen = [*(starts[:sites] + 4), *(starts[:LEAST] + 9)]  # 1-based, of the T
    background = snvs_of(contigs).filter(pl.col("pos").is_in(chosen))
    scores = np.where(background["pos"].to_numpy() % 12 == 4, -2.0, 1.0)
    calibration = MutationCalibration(
        context_means(background_of(genome, background, scores), genome), genome
    )
    asked = pl.DataFrame({"contig": ["c"] * 3, "pos": [4, 9, 6], "alt": ["A", "A", "C"]})
    own, other, unknown = calibration(asked, np.zeros(3))
    both = (-2.0 * sites + 1.0 * LEAST) / (sites + LEAST)
    assert own == pytest.approx(-both if falls_back else 2.0)
    assert other == pytest.approx(-1.0)
    assert np.isnan(unknown)
    assert calibration.counts == ContextCounts(2 - falls_back, int(falls_back), 1)


def test_how_many_sites_would_do(large):
    genome, snvs, _ = large
    scores = np.zeros(snvs.height)
    told = coverage(context_means(background_of(genome, snvs, scores), genome))
    assert (told.pentamers, told.of_pentamers, told.share) == (1536, 1536, 1.0)
    assert told.sites == 100_000 - 8
    # 512 5-mers of a random genome: 100 sites of each are 51,200, of the rarer ones some more.
    assert told.needed in (*range(52_000, 65_000, 1_000),)
    few = snvs[: 3 * 10_000]
    told = coverage(context_means(background_of(genome, few, scores[: few.height]), genome))
    assert (told.pentamers, told.trinucleotides, told.share) == (0, 96, 0.0)
    assert 51_200 < told.needed < 100_000
    nothing = coverage(context_means(background_of(genome, snvs[:0], []), genome))
    assert (nothing.sites, nothing.share) == (0, 0.0)


def test_contexts_of_two_strands_are_512_by_three():
    pairs = {min(k, turned(k)) for k in map("".join, product("ACGT", repeat=5))}
    assert 3 * len(pairs) == 1536
