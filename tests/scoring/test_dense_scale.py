"""Dense scores beside masked ones: the constant, how they agree, and what needs it."""

import shutil
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import scipy.stats

from making import nucleotide_transformers
from making.records import prepared_model
from making.scoring import toy_model
from making.toy_models import CONFIGS, make_checkpoint
from varlm.errors import UserError
from varlm.genome.reference import Genome
from varlm.models import preparing
from varlm.scoring import background, dense_scale, formulas
from varlm.scoring.dense_scale import DenseScale, agreement, constants, measured, unmeasured
from varlm.tables.schemas import SITES

C = np.log(5)
DENSE = prepared_model(name="d", family="gpn", score="dense", key="1" * 32)
MASKED = replace(DENSE, score="masked", key="2" * 32)
PHYLOGPN = prepared_model(name="p", family="phylogpn", score="dense")


def ideal(sites, constant, seed=0):
    """Logits that mask a site and that see it, of a model as it ought to be, and the bases."""
    rng = np.random.default_rng(seed)
    masked, ref = rng.normal(size=(sites, 2, 4)), rng.integers(0, 4, sites)
    dense = masked.copy()
    dense[np.arange(sites), :, ref] += constant
    return masked, dense, ref


def llrs(logits, ref):
    steps = [formulas.llr_by_strand(logits, ref, (ref + step) % 4) for step in (1, 2, 3)]
    return np.stack([formulas.strand_mean(step) for step in steps], axis=1)


def test_an_ideal_model_gives_exactly_the_constant():
    masked, dense, ref = ideal(200, C)
    scale = measured(DENSE, MASKED, None, (llrs(dense, ref), llrs(masked, ref)))
    assert scale.constant == pytest.approx(C, abs=1e-12)
    assert (scale.origin, scale.masked_key, scale.by_class) == ("measured", "2" * 32, {})
    assert scale.overall.spearman == pytest.approx(1)
    assert scale.overall.pearson == pytest.approx(1)
    assert scale.overall.rmse == pytest.approx(0, abs=1e-12)
    assert (scale.overall.sites, scale.overall.snvs) == (200, 600)


def test_on_the_masked_scale_all_that_follows_from_the_logits_is_the_masked_ones():
    masked, dense, ref = ideal(50, C)
    alt = (ref + 1) % 4
    dense = dense.astype(np.float32)
    kept = dense.copy()
    lowered = formulas.on_masked_scale(dense, ref, C)
    assert np.array_equal(dense, kept)
    expected = formulas.snv_scores(masked, ref, alt)
    for name, column in formulas.snv_scores(lowered, ref, alt).items():
        assert column == pytest.approx(expected[name], abs=1e-6), name
    assert formulas.on_masked_scale(dense, ref, 0.0) is dense
    dense[:, 1] = np.nan
    assert np.isnan(formulas.on_masked_scale(dense, ref, C)[:, 1]).all()


def test_agreement_is_what_scipy_says_of_all_and_of_each_class():
    rng = np.random.default_rng(1)
    dense = rng.normal(size=(90, 3)).round(1)  # with ties
    masked = dense + rng.normal(size=(90, 3)).round(1) + 1
    classes = np.repeat(["coding", "intron", "upstream"], [30, 50, 10])
    scale = measured(DENSE, MASKED, 1.5, (dense, masked), classes)
    assert (scale.origin, scale.constant) == ("checkpoint", 1.5)
    assert list(scale.by_class) == ["coding", "intron", "upstream"]
    for name, of in {"": scale.overall, **scale.by_class}.items():
        some = np.ones(90, bool) if name == "" else classes == name
        x, y = dense[some].ravel(), masked[some].ravel()
        assert of.spearman == pytest.approx(scipy.stats.spearmanr(x, y).statistic)
        assert of.pearson == pytest.approx(scipy.stats.pearsonr(x, y).statistic)
        assert of.rmse == pytest.approx(np.sqrt(np.mean((x + 1.5 - y) ** 2)))
        assert of.shift == pytest.approx(np.mean(y - x))
        assert (of.sites, of.snvs) == (some.sum(), 3 * some.sum())


def test_a_single_value_has_no_correlation(tmp_path):
    of = agreement(np.zeros((2, 3)), np.ones((2, 3)), 0.5)
    assert (of.spearman, of.pearson, of.rmse, of.shift) == (None, None, 0.5, 1.0)
    scale = DenseScale(
        model="m",
        key="k",
        masked_key=None,
        constant=0,
        origin="none",
        overall=of,
        by_class={"x": of},
    )
    scale.write(tmp_path / "m.json")
    assert DenseScale.read(tmp_path / "m.json") == scale


def test_the_sample_is_a_part_of_the_backgrounds(make_reference):
    rng = np.random.default_rng(2)
    sequences = {name: "".join(rng.choice(list("ACGTN"), 500)) for name in ("a", "b")}
    genome = Genome.open(make_reference(sequences))
    chosen, more = dense_scale.sample(genome, 40), background.choose(genome, 100).sites
    assert sum(map(len, chosen.values())) == 40
    assert all(np.isin(chosen[name], more[name]).all() for name in genome.names)
    everything = dense_scale.sample(genome, 10**6)
    assert sum(map(len, everything.values())) == genome.contigs["acgt"].sum()
    assert sum(map(len, dense_scale.sample(genome, 0).values())) == 0


def test_llrs_of_sites_are_those_of_their_numbers(make_reference):
    genome = Genome.open(make_reference({"a": "ACGTACGT", "b": "TTTGGG"}))
    masked, _, _ = ideal(4, 0)
    frame = pl.DataFrame({"contig": ["a", "a", "b", "b"], "pos": [2, 5, 3, 4]})
    sites = frame.hstack(formulas.logit_columns(masked.astype(np.float32)))
    ref = np.array([1, 0, 3, 2])
    found = dense_scale.snv_llrs(sites.cast(dict(SITES.schema)), genome)
    assert found == pytest.approx(llrs(masked, ref), abs=1e-6)


# The same checkpoint, masked


@pytest.fixture
def checkpoint(tmp_path):
    return make_checkpoint(tmp_path / "model", CONFIGS["legacy"])


def test_the_masked_model_is_the_one_that_scores_masked_sites(checkpoint):
    settings = {"name": "toy", "path": str(checkpoint), "revision": None, "precision": "float32"}
    more = {"window": 32, "strands": "forward"}
    dense = preparing.prepare(checkpoint, **settings, **more, score="dense")
    plain = preparing.prepare(checkpoint, **settings, **more)
    assert dense_scale.masked_model(dense) == plain
    assert plain.key != dense.key
    assert dense_scale.masked_model(plain) is None  # it is no dense one
    assert dense_scale.masked_model(PHYLOGPN) is None


def test_of_kmers_it_is_the_marginal_of_the_base(tmp_path):
    """Dense numbers are of bases; those of whole k-mers are another thing."""
    folder = nucleotide_transformers.make_checkpoint(tmp_path / "nt")
    settings = {"name": "nt", "path": "p", "revision": None, "precision": "float32", "window": 66}
    dense = preparing.prepare(folder, **settings, score="dense")
    expected = preparing.prepare(folder, **settings, score="marginal")
    assert dense_scale.masked_model(dense) == expected


def test_a_checkpoint_that_changed_is_not_compared(checkpoint, tmp_path):
    dense = toy_model(checkpoint, 32, family="gpn", score="dense", options={})
    other = make_checkpoint(tmp_path / "other", CONFIGS["legacy"], seed=1)
    shutil.copy(other / "model.safetensors", checkpoint)
    with pytest.raises(UserError, match=r"model\.safetensors changed since the step prepare_model"):
        dense_scale.masked_model(dense)


# Who needs it


def test_constants_are_those_of_each_models_own_file(tmp_path):
    plain = prepared_model(name="m")
    path = tmp_path / "d.json"
    unmeasured(DENSE, MASKED, C).write(path)
    assert constants([DENSE, plain, PHYLOGPN], [path]) == {"d": C, "m": 0, "p": 0}
    assert constants([plain], []) == {"m": 0}
    with pytest.raises(UserError, match=r"model d: its dense scores .* but none is given"):
        constants([plain, DENSE], [])
    with pytest.raises(UserError, match=r"but its own is of the key 1111"):
        constants([replace(DENSE, key="3" * 32)], [path])


def test_what_is_known_without_a_measurement():
    said = unmeasured(DENSE, MASKED, C)
    assert (said.constant, said.origin, said.overall) == (C, "checkpoint", None)
    nothing = unmeasured(DENSE, MASKED, None)
    assert (nothing.constant, nothing.origin, nothing.masked_key) == (0, "none", "2" * 32)
    assert unmeasured(PHYLOGPN, None, None).masked_key is None
