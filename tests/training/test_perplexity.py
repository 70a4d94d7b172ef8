"""Perplexity of single masked bases: sites, losses, and the arithmetic they are made in."""

import time

import numpy as np
import pytest

from making.toy_models import ToyModel
from making.training import bases, make_corpus
from varlm.genome.windows import centre
from varlm.training.corpus import REGIONS
from varlm.training.perplexity import losses, measure, sample_sites, table


def test_losses_by_strand():
    p = np.array([[[0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1]]])
    found = losses(np.log(p).astype(np.float32) + 3, np.array([3]))
    product = p.prod(1)[0] ** 0.5
    assert np.exp(-found["forward"][0]) == pytest.approx(0.4)
    assert np.exp(-found["reverse"][0]) == pytest.approx(0.1)
    assert np.exp(-found["mean"][0]) == pytest.approx(0.25)
    assert np.exp(-found["product"][0]) == pytest.approx(product[3] / product.sum())


def test_a_table_of_perplexities():
    rng = np.random.default_rng(0)
    region = np.repeat([REGIONS.index("coding"), REGIONS.index("promoter")], [300, 100])
    loss = rng.normal(1.2, 0.1, 400)
    ways = {"mean": loss}
    frame = table({"one": ways, "two": {"mean": loss + 0.1}}, region)
    shown = {(r["model"], r["region"]): r for r in frame.iter_rows(named=True)}
    assert {r for _, r in shown} == {"coding", "promoter", "outside genes", "all"}
    assert shown["one", "all"]["perplexity"] == pytest.approx(np.exp(loss.mean()))
    assert shown["two", "coding"]["ratio"] == pytest.approx(np.exp(0.1))
    assert shown["two", "coding"]["ratio_high"] == pytest.approx(np.exp(0.1))  # paired
    assert shown["one", "promoter"]["sites"] == 100
    assert shown["one", "promoter"] | {"region": ""} == shown["one", "outside genes"] | {
        "region": ""
    }
    row = shown["one", "coding"]
    half = 1.96 * 0.1 / 300**0.5 * row["perplexity"]
    assert row["perplexity_low"] == pytest.approx(row["perplexity"] - half, rel=0.005)
    assert row["perplexity_high"] == pytest.approx(row["perplexity"] + half, rel=0.005)


def test_sites_are_of_the_set_and_centred(tmp_path):
    held = bases(500, 2)
    corpus = make_corpus(
        tmp_path, {"g": {"a": bases(500, 1), "h": held}}, "--held-out", "h", window=41, stride=20
    )
    sites = sample_sites(corpus, "held_out", 50, seed=0)
    assert len(sites.base) > 30
    for window, base in zip(sites.windows, sites.base, strict=True):
        text = window.tobytes().decode()
        assert text in held
        assert "ACGT"[base] == text[centre(41)]


class Hasty(ToyModel):
    """Bfloat16 is faster, and off by a known amount."""

    def __init__(self, off):
        super().__init__()
        self.off = off

    def modes(self):
        return ("float32", "bfloat16")

    def set_mode(self, mode):
        self.mode = mode

    def _logits(self, ids):
        if self.mode == "float32":
            time.sleep(0.02)
        logits = super()._logits(ids)
        logits[..., 1] += self.off if self.mode == "bfloat16" else 0.0
        return logits


@pytest.mark.parametrize(
    ("count", "off", "moved"), [(200, 0.01, True), (200, 0.2, False), (30, 0.01, False)]
)
def test_faster_arithmetic_is_used_where_it_agrees(tmp_path, count, off, moved):
    corpus = make_corpus(tmp_path, {"g": {"a": bases(900, 1)}}, window=32, stride=20)
    sites = sample_sites(corpus, "train", count, seed=0)
    expected = measure("model", ToyModel(), sites, 8)["model"]["mean"]
    model = Hasty(off)
    found = measure("model", model, sites, 8)["model"]["mean"]
    assert model.mode == "float32"
    assert np.allclose(found, expected, atol=2 * off)
    assert (abs(found - expected).max() > off / 10) == moved
