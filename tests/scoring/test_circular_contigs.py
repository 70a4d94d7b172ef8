"""Circular contigs through every step: scores are those of the contig turned so that all is inside.

The oracle is the linear path on a turned contig: the same circle, written down from another base
on, so that a site near the origin lies in its middle.
"""

import numpy as np
import polars as pl
import pyBigWig
import pytest

from making.planning import variants
from making.scored import score_and_store, step
from making.scoring import allele_ratios, ascii_array, site_logits
from making.toy_models import CONFIGS, make_checkpoint
from varlm import cli
from varlm.files.whole import write_digest
from varlm.genome.encoding import index_reference
from varlm.genome.reference import Genome
from varlm.genome.windows import strip_shared
from varlm.models.loading import load_model
from varlm.scoring.plan_record import Plan
from varlm.scoring.scorer import Scorer
from varlm.store import Store


def dna(seed, length):
    return "".join(np.random.default_rng(seed).choice(list("ACGT"), length))


def turned(text, by):
    return text[by:] + text[:by]


# One model each: a window as even or odd, longer or shorter than the contig, on both strands


@pytest.fixture(scope="module", params=sorted(CONFIGS))
def scorer(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    return Scorer(load_model(make_checkpoint(folder, CONFIGS[request.param])), batch_size=4)


@pytest.mark.parametrize("window", [64, 33, 90])
@pytest.mark.parametrize("length", [400, 75])
def test_sites_have_the_scores_of_the_contig_turned_so_that_they_are_in_its_middle(
    scorer, window, length
):
    text = dna(length, length)
    positions = np.array([0, 1, 7, 20, length // 2, length - 30, length - 2, length - 1])
    here = site_logits(scorer, ascii_array(text), positions, window, circular=True)
    middle = length // 2
    for scores, position in zip(here, positions, strict=True):
        other = ascii_array(turned(text, (position - middle) % length))
        there = site_logits(scorer, other, [middle], window)
        np.testing.assert_allclose(scores, there[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("window", [64, 33, 90])
@pytest.mark.parametrize("length", [400, 75])
def test_indels_have_the_scores_of_the_contig_turned_likewise(scorer, window, length):
    text = dna(length, length)
    middle, rows = length // 2, []
    for position in (0, 1, 12, middle, length - 9, length - 3):
        ref = text[position : position + 3]
        other = next(base for base in "ACGT" if base not in (ref[0], ref[2]))
        rows += [(position, ref, ref[0]), (position, ref[0], ref[0] + other * 2)]
        rows += [(position, ref, other + ref[1] + other)]
    here = allele_ratios(scorer, ascii_array(text), *zip(*rows, strict=True), window, circular=True)
    for scores, (position, ref, alt) in zip(here, rows, strict=True):
        # The anchor base of an indel is not the allele: the contig is cut opposite to what changes.
        inside = middle - (strip_shared(position, ref, alt)[0] - position)
        other = ascii_array(turned(text, (position - inside) % length))
        there = allele_ratios(scorer, other, [inside], [ref], [alt], window)
        np.testing.assert_allclose(scores, there[0], atol=1e-4, rtol=0)


# All steps

WINDOW = 32
LENGTHS = {"line": 90, "ring": 150, "tiny": 24}  # the last one is shorter than the window
TURNS = {"line": 0, "ring": 61, "tiny": 11}
SEQUENCES = {name: dna(seed, length) for seed, (name, length) in enumerate(LENGTHS.items())}
CIRCULAR = ("ring", "tiny")


class Run:
    """A genome, the model and a store; all SNVs of the genome and some indels are the cohorts."""

    def __init__(self, folder, turns):
        self.folder = folder
        self.turns = turns
        self.sequences = {name: turned(text, turns[name]) for name, text in SEQUENCES.items()}
        self.reference, self.model, self.store = (folder / name for name in ("r", "m.json", "s"))
        fasta = "".join(f">{name}\n{text}\n" for name, text in self.sequences.items())
        (folder / "g.fa").write_text(fasta)
        step("index_reference", fasta=folder / "g.fa", reference=self.reference)
        checkpoint = make_checkpoint(folder / "model", CONFIGS["convnet"])
        options = {"window": WINDOW, "strands": "both", "precision": "float32"}
        step("prepare_model", name="m", path=checkpoint, model=self.model, **options)
        step(
            "saturate",
            "--all-contigs",
            cohort="snvs",
            reference=self.reference,
            variants=folder / "snvs.parquet",
            accounting=folder / "accounting.json",
        )
        variants(folder / "indels.parquet", list(self._indels()))
        write_digest(folder / "indels.parquet")

    def _indels(self):
        """Insertions after every fifth base of the untouched circle."""
        for name, text in self.sequences.items():
            length = len(text)
            for original in range(0, length, 5):
                at = (original - self.turns[name]) % length
                yield name, at + 1, text[at], text[at] + "GA"

    def find_circular(self, *contigs):
        step(
            "find_circular",
            *(w for c in contigs for w in ("--contig", c)),
            reference=self.reference,
        )

    def score(self, name):
        """Plan, score, commit, calibrate, annotate and draw; return the plan."""
        folder = self.folder / name
        shared = {"reference": self.reference, "model": self.model}
        both = [
            word
            for cohort in ("snvs", "indels")
            for word in ("--cohort", cohort, "--variants", self.folder / f"{cohort}.parquet")
        ]
        step(
            "plan",
            *both,
            **shared,
            store=self.store,
            plan=folder / "plan",
            background_sites=100,
            sites_per_shard=70,
        )
        plan = Plan.read(folder / "plan/plan.json")
        background = score_and_store(folder, shared, self.store, sites=100)
        for cohort in ("snvs", "indels"):
            step(
                "annotate",
                **shared,
                variants=self.folder / f"{cohort}.parquet",
                store=self.store,
                background=background,
                annotated=folder / f"{cohort}.parquet",
            )
        step(
            "draw_tracks",
            **shared,
            store=self.store,
            variants=self.folder / "snvs.parquet",
            tracks=folder / "tracks",
        )
        return plan

    def scores(self, name, cohort):
        """The scores by contig and position on the untouched circle, ref and alt."""
        table = pl.read_parquet(self.folder / name / f"{cohort}.parquet")
        turn = pl.col("chrom").replace_strict(self.turns, return_dtype=pl.Int64)
        length = pl.col("chrom").replace_strict(LENGTHS, return_dtype=pl.Int64)
        original = (pl.col("pos").cast(pl.Int64) - 1 + turn) % length
        columns = ("chrom", original.alias("at"), "ref", "alt", "m_llr_fwd", "m_llr_rev", "m_llr")
        return table.select(*columns).sort("chrom", "at", "ref", "alt")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Scored with linear contigs first, as every run of before; then with circular ones."""
    run = Run(tmp_path_factory.mktemp("run"), dict.fromkeys(LENGTHS, 0))
    run.plans = [run.score("linear")]
    run.find_circular(*CIRCULAR)
    run.plans += [run.score("circular"), run.score("again")]
    return run


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """The same circles, written down from other bases on."""
    other = Run(tmp_path_factory.mktemp("turned"), TURNS)
    other.find_circular(*CIRCULAR)
    other.score("circular")
    return other


@pytest.mark.parametrize("cohort", ["snvs", "indels"])
def test_scores_do_not_depend_on_where_a_circle_is_written_down_from(run, other, cohort):
    here, there = run.scores("circular", cohort), other.scores("circular", cohort)
    assert here.height == {"snvs": 3 * sum(LENGTHS.values()), "indels": 18 + 30 + 5}[cohort]
    keys, values = ["chrom", "at", "ref", "alt"], ["m_llr_fwd", "m_llr_rev", "m_llr"]
    assert here.select(keys).equals(there.select(keys))
    assert here.select(values).null_count().sum_horizontal().item() == 0
    np.testing.assert_allclose(here.select(values), there.select(values), atol=1e-5, rtol=0)


def test_only_scores_within_reach_of_the_origin_are_others_than_those_of_a_linear_contig(run):
    linear, circular = (run.scores(name, "snvs") for name in ("linear", "circular"))
    differ = (linear["m_llr"] - circular["m_llr"]).abs() > 1e-6
    at = linear["at"].to_numpy()
    ring = (linear["chrom"] == "ring").to_numpy()
    near = (at < WINDOW // 2) | (at >= LENGTHS["ring"] - WINDOW // 2)
    assert not differ.filter(ring & ~near).any()
    assert differ.filter(ring & near).mean() > 0.9
    assert not differ.filter(linear["chrom"] == "line").any()


def test_linear_contigs_are_not_scored_again(run):
    linear, circular, again = (plan.total for plan in run.plans)
    assert linear.sites_scored == linear.sites == circular.sites
    assert circular.sites_scored == LENGTHS["ring"] + LENGTHS["tiny"]
    assert circular.sites_from_store == LENGTHS["line"]
    assert (again.sites_scored, again.alleles_scored) == (0, 0)


def test_the_store_has_the_scores_of_both_shapes(run):
    genome, store = Genome.open(run.reference), Store(run.store)
    key = run.plans[0].key
    for name in CIRCULAR:
        as_linear, as_circle = (
            store.read_sites(key, digest)
            for digest in (genome[name].digest, f"circular.{genome[name].digest}")
        )
        assert as_linear.height == as_circle.height == LENGTHS[name]
        assert not as_linear.equals(as_circle)
    assert store.read_sites(key, f"circular.{genome['line'].digest}").is_empty()


def test_the_background_is_of_the_same_sites_with_the_scores_of_circles(run):
    linear, circular = (
        pl.read_parquet(run.folder / name / "background.parquet") for name in ("linear", "circular")
    )
    sites = ["pos", "ref", "alt"]
    unmarked = circular.with_columns(pl.col("contig").str.replace("circular.", "", literal=True))
    by = ["contig", *sites]
    assert linear.select(by).sort(by).equals(unmarked.select(by).sort(by))
    assert not linear.sort(by)["llr"].equals(unmarked.sort(by)["llr"])


def test_varlm_store_names_them(run, capsys):
    assert cli.main(["store", "ls", str(run.store), "--reference", str(run.reference)]) == 0
    shown = capsys.readouterr().out
    genome = Genome.open(run.reference)
    lines = {line.split()[0]: " ".join(line.split()) for line in shown.splitlines() if line.strip()}
    ring = genome["ring"].digest
    assert lines[ring].startswith(f"{ring} ring 100.00 %")
    assert lines[f"circular.{ring}"].startswith(f"circular.{ring} ring (circular) 100.00 %")
    assert lines["total"].startswith("total 100.00 %")


def test_an_archive_carries_them(run, tmp_path):
    digest = Genome.open(run.reference)["tiny"].stored_as
    archive = tmp_path / "a.tar"
    words = ["store", "export", run.store, archive, "--contig", digest]
    assert cli.main(list(map(str, words))) == 0
    assert cli.main(["store", "import", str(tmp_path / "new"), str(archive)]) == 0
    assert cli.main(["store", "verify", str(tmp_path / "new")]) == 0
    key = run.plans[0].key
    here, there = (Store(root).read_sites(key, digest) for root in (run.store, tmp_path / "new"))
    assert here.height == LENGTHS["tiny"]
    assert here.equals(there)


def test_tracks_show_the_scores_of_circles(run):
    (path,) = (run.folder / "circular/tracks").glob("*entropy*.bw")
    values = {}
    for name in ("linear", "circular"):
        with pyBigWig.open(str(run.folder / name / "tracks" / path.name)) as file:
            values[name] = {c: np.array(file.values(c, 0, n)) for c, n in LENGTHS.items()}
    for contig in LENGTHS:
        alike = np.allclose(values["linear"][contig], values["circular"][contig], atol=1e-6)
        assert alike == (contig == "line")


@pytest.mark.real_data
def test_the_yeast_mitochondrion_near_its_origin(shared_data, root, tmp_path):
    """85,779 bp, circular on the map and in the cell; its model ships with varlm."""
    index_reference(shared_data / "yeast/genome.fa.gz", tmp_path)
    text = Genome.open(tmp_path).sequence("Mito").tobytes().decode()
    scorer = Scorer(load_model(root / "resources/models/saccharomyces"), batch_size=8)
    positions = np.array([0, 3, 6, 300, len(text) - 300, len(text) - 4, len(text) - 1])
    half = len(text) // 2
    turned_positions = (positions - half) % len(text)
    linear, circular, there = (
        site_logits(scorer, ascii_array(sequence), at, 512, circular=circle)
        for sequence, at, circle in (
            (text, positions, False),
            (text, positions, True),
            (turned(text, half), turned_positions, False),
        )
    )
    np.testing.assert_allclose(circular, there, atol=1e-5, rtol=0)
    changed = np.abs(circular - linear).max(axis=(1, 2))
    assert (changed[[0, 1, 2, -2, -1]] > 0.05).all()
    assert (changed[[3, 4]] == 0).all()
