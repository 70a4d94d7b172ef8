"""Every kind of score against its definition in plain Python, on models whose answers are known.

Family (k, stride, special tokens) × kind × strand × where the site lies × parity of the window.
"""

from dataclasses import replace
from itertools import product
from math import exp, log, log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from making.closed_forms import CausalClosedForm, ClosedForm, tokeniser
from making.scoring import allele_ratios, ascii_array, site_logits
from varlm.genome.tiles import Tiles
from varlm.scoring import formulas
from varlm.scoring.recipe import Recipe
from varlm.scoring.scorer import Scorer
from varlm.tables.score_kinds import SCORE_KINDS

COMPLEMENT = str.maketrans("ACGT", "TGCA")
MODELS = {
    "bases": ClosedForm(tokeniser(1, 1)),
    "bases between ends": ClosedForm(tokeniser(1, 1, prefix="cs", suffix="e")),
    "bases, an id for what is past the end": ClosedForm(tokeniser(1, 1, pad=True, suffix="e")),
    "codons": ClosedForm(tokeniser(3, 3, prefix="c")),
    "overlapping pairs": ClosedForm(tokeniser(2, 1, prefix="cs", suffix="e")),
    "overlapping triplets": ClosedForm(tokeniser(3, 1, prefix="c", suffix="e")),
}
CAUSAL = {
    "plain": CausalClosedForm(tokeniser(1, 1, mask=False)),
    "between ends, all count": CausalClosedForm(
        tokeniser(1, 1, mask=False, prefix="b", suffix="e")
    ),
    "between ends, nucleotides count": CausalClosedForm(
        tokeniser(1, 1, mask=False, prefix="b", suffix="e"), "nucleotides"
    ),
}
TEXTS = st.text("ACGTN", min_size=8, max_size=40).filter(lambda text: set(text) & set("ACGT"))


def reverse(text):
    return text.translate(COMPLEMENT)[::-1]


def read(text, pos, width, strand, centre="right"):
    """The window of a position on a strand, `-` past the ends, and the position's index in it."""
    before = width // 2 if centre == "right" else (width - 1) // 2
    padded = "-" * width + text + "-" * width
    window = padded[pos - before + width :][:width]
    return (window, before) if strand == 0 else (reverse(window), width - 1 - before)


class Oracle:
    """What the definition of a kind says of a site on a strand, with each base there."""

    def __init__(self, model, window, index, *, reverse_strand, options):
        self.model, self.window, self.index = model, window, index
        self.reverse, self.options = reverse_strand, options
        tokens = model.tokeniser
        self.k = tokens.k
        self.starts = range(0, len(window) - self.k + 1, tokens.stride)
        self.over = [start for start in self.starts if start <= index < start + self.k]
        self.formula = model.formula

    def seen(self, window, hidden=()):
        """What the tokens show of a window but those that begin at `hidden`."""
        shown = ["?"] * len(window)
        for start in self.starts:
            kmer = window[start : start + self.k]
            if start not in hidden and set(kmer) <= set("ACGT"):
                shown[start : start + self.k] = kmer
        return "".join(shown)

    def p_at(self, seen, place):
        """Mean over the tokens that hold a place of the probability of each base there."""
        over = [start for start in self.starts if start <= place < start + self.k]
        total = dict.fromkeys("ACGT", 0.0)
        for start in over:
            powers = {
                kmer: exp(self.formula.kmer_logit(seen, start, kmer))
                for kmer in map("".join, product("ACGT", repeat=self.k))
            }
            for kmer, power in powers.items():
                total[kmer[place - start]] += power / sum(powers.values()) / len(over)
        return total

    def with_base(self, base):
        return self.window[: self.index] + base + self.window[self.index + 1 :]

    def masked(self, base):
        seen = self.seen(self.window, self.over)
        middle = self.k // 2 if self.reverse else (self.k - 1) // 2
        start = min(self.over, key=lambda s: abs(self.index - s - middle))
        kmer = self.with_base(base)[start : start + self.k]
        choices = ["ACGT" if letter not in "ACGT" else letter for letter in kmer]
        logits = [self.formula.kmer_logit(seen, start, "".join(c)) for c in product(*choices)]
        return logits[0] if len(logits) == 1 else log(sum(map(exp, logits)))

    def marginal(self, base):
        return log(self.p_at(self.seen(self.window, self.over), self.index)[base])

    def dense(self, base):
        seen = self.seen(self.window)
        if self.k == 1:
            return self.formula.base_logit(seen, self.index, base)
        return log(self.p_at(seen, self.index)[base])

    def probability(self, base):
        seen = self.seen(self.window, self.over)
        logits = [self.formula.base_logit(seen, self.index, b) for b in "ACGT"]
        others = self.model.tokeniser.size - 4
        return exp(logits["ACGT".index(base)]) / (sum(map(exp, logits)) + others * exp(-1))

    def hidden(self, base):
        place = self.index if self.options.get("embedding") != "first" else 0
        over = [start for start in self.starts if start <= place < start + self.k]
        seen = self.seen(self.with_base(base))
        return np.mean([self.formula.hidden(seen, start, self.k) for start in over], axis=0)

    def cosine(self, base):
        a, b = self.hidden(self.window[self.index]), self.hidden(base)
        return 1 - a @ b / max(np.linalg.norm(a), 1e-8) / max(np.linalg.norm(b), 1e-8)

    def euclidean(self, base):
        return float(np.linalg.norm(self.hidden(self.window[self.index]) - self.hidden(base)))

    def inner_product(self, base):
        return float(self.hidden(self.window[self.index]) @ self.hidden(base))

    def predicted(self, base):
        seen = self.seen(self.with_base(base))
        return [self.p_at(seen, place) for place in range(len(self.window))]

    def influence(self, base):
        logarithm = log if self.options.get("definition") == "songlab" else log2
        changes = []
        here, there = self.predicted(self.window[self.index]), self.predicted(base)
        for place in range(len(self.window)):
            if place != self.index:
                odds = [
                    [logarithm(p[b] / (1 - p[b])) for b in "ACGT"]
                    for p in (here[place], there[place])
                ]
                changes.append(max(abs(a - b) for a, b in zip(*odds, strict=True)))
        return float(np.mean(changes))

    def divergence(self, base):
        flank = int(self.options.get("flank", 50))
        here, there = self.predicted(self.window[self.index]), self.predicted(base)
        near = [p for p in range(len(here)) if 0 < abs(p - self.index) <= flank]
        pairs = [*zip(here, there, strict=True)]
        changes = [sum(q[b] * log(q[b] / p[b]) for b in "ACGT") for p, q in pairs]
        return float(np.mean([changes[place] for place in near]))


def scorer(model, kind, *, options=None, centre="right", clipped=False, batch_size=3, **more):
    recipe = Recipe(SCORE_KINDS[kind], options or {}, centre, clipped)
    return Scorer(model, batch_size=batch_size, recipe=recipe, **more)


SINGLE = ("bases", "bases between ends", "bases, an id for what is past the end")
KINDS = [
    *product(MODELS, ("masked", "inner_product", "euclidean")),
    *product(MODELS, ("marginal",)),
    *product(SINGLE, ("probability",)),
    *product(("bases", "codons", "overlapping pairs"), ("cosine",)),
    *product(("bases", "overlapping pairs"), ("influence", "divergence")),
]
OPTIONS = {
    "influence": ({"definition": "songlab"}, {"definition": "gagneur"}),
    "divergence": ({"flank": "2"}, {"flank": "50"}),
    "cosine": ({}, {"embedding": "first"}),
}


@pytest.mark.parametrize(("name", "kind"), KINDS)
@given(text=TEXTS, data=st.data())
@settings(max_examples=12)
def test_each_kind_is_its_definition(name, kind, text, data):
    model = MODELS[name]
    k = model.tokeniser.k
    pos = data.draw(st.sampled_from([i for i, base in enumerate(text) if base in "ACGT"]))
    width = data.draw(st.integers(3, 9)) * (k if model.tokeniser.stride > 1 else 1) + k
    centre = data.draw(st.sampled_from(["right", "left"]))
    options = data.draw(st.sampled_from(OPTIONS.get(kind, ({},))))
    numbers = site_logits(
        scorer(model, kind, options=options, centre=centre), ascii_array(text), [pos], width
    )[0]
    for strand in (0, 1):
        window, index = read(text, pos, width, strand, centre)
        oracle = Oracle(model, window, index, reverse_strand=strand == 1, options=options)
        expected = [
            getattr(oracle, kind)(base if strand == 0 else base.translate(COMPLEMENT))
            for base in "ACGT"
        ]
        np.testing.assert_allclose(numbers[strand], expected, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("name", MODELS)
@given(text=TEXTS, data=st.data())
@settings(max_examples=20)
def test_dense_numbers_are_those_of_the_tile(name, text, data):
    """Of every position, on both strands, at both ends of the contig and in a last short tile."""
    model = MODELS[name]
    k = model.tokeniser.k
    size = data.draw(st.integers(2, 12))
    context = data.draw(st.integers(k, 8))
    if model.tokeniser.stride > 1:
        size, context = size * k, context * k
    tiles = Tiles(size, context)
    recipe = Recipe(SCORE_KINDS["dense"], tiles=tiles)
    tiled = Scorer(model, batch_size=3, recipe=recipe)
    numbers = site_logits(tiled, ascii_array(text), range(len(text)), 0)
    some = data.draw(st.lists(st.integers(0, len(text) - 1), min_size=1, max_size=9))
    alone = site_logits(replace(tiled, batch_size=2), ascii_array(text), some, 0)
    np.testing.assert_allclose(alone, numbers[some], atol=1e-5)
    for pos in range(len(text)):
        start = pos // size * size
        middle = (start + min(start + size, len(text))) // 2
        around = context + size // 2
        padded = "-" * around + text + "-" * tiles.window
        forward = padded[middle : middle + tiles.window]
        index = pos - middle + around
        for strand in (0, 1):
            window = forward if strand == 0 else reverse(forward)
            place = index if strand == 0 else tiles.window - 1 - index
            oracle = Oracle(model, window, place, reverse_strand=strand == 1, options={})
            expected = [
                oracle.dense(base if strand == 0 else base.translate(COMPLEMENT)) for base in "ACGT"
            ]
            np.testing.assert_allclose(numbers[pos, strand], expected, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("name", CAUSAL)
@pytest.mark.parametrize("kind", ["likelihood", "mean_likelihood"])
@pytest.mark.parametrize("clipped", [True, False])
@given(text=TEXTS, data=st.data())
@settings(max_examples=12)
def test_likelihoods_are_those_of_whole_windows(name, kind, clipped, text, data):
    model = CAUSAL[name]
    pos = data.draw(st.sampled_from([i for i, base in enumerate(text) if base in "ACGT"]))
    width = data.draw(st.integers(3, 20))
    numbers = site_logits(scorer(model, kind, clipped=clipped), ascii_array(text), [pos], width)[
        0
    ].astype(float)

    def value(window):
        total, count = model.likelihood(window)
        return total / max(count, 1) if kind == "mean_likelihood" else total

    for strand in (0, 1):
        windows = {}
        for base in "ACGT":
            changed = text[:pos] + base + text[pos + 1 :]
            window, _ = read(changed, pos, width, strand)
            windows[base] = value(window.strip("-") if clipped else window)
        own = [windows[base] for base in "ACGT"]
        np.testing.assert_allclose(
            numbers[strand] - numbers[strand][0], np.array(own) - own[0], atol=1e-4
        )


@pytest.mark.parametrize("name", CAUSAL)
@pytest.mark.parametrize("kind", ["likelihood", "mean_likelihood"])
@given(data=st.data())
@settings(max_examples=15)
def test_indels_are_those_of_whole_windows_with_another_allele(name, kind, data):
    model = CAUSAL[name]
    text = data.draw(st.text("ACGT", min_size=12, max_size=40))
    pos = data.draw(st.integers(0, len(text) - 3))
    ref = text[pos : pos + data.draw(st.integers(1, 3))]
    alt = data.draw(st.text("ACGT", min_size=1, max_size=4))
    width = data.draw(st.integers(8, 20))
    ratios = allele_ratios(
        scorer(model, kind, clipped=True), ascii_array(text), [pos], [ref], [alt], width
    )[0]
    before = width // 2
    low, high = max(pos - before, 0), min(pos - before + width, len(text))
    windows = (text[low:high], text[low:pos] + alt + text[pos + len(ref) : high])
    for strand in (0, 1):
        values = []
        for window in windows:
            total, count = model.likelihood(window if strand == 0 else reverse(window))
            values.append(total / max(count, 1) if kind == "mean_likelihood" else total)
        assert ratios[strand] == pytest.approx(values[1] - values[0], abs=1e-4)


@pytest.mark.parametrize(("name", "kind"), KINDS)
@given(text=TEXTS, data=st.data())
@settings(max_examples=4)
def test_numbers_depend_on_no_neighbour_batch_or_order(name, kind, text, data):
    model = MODELS[name]
    sites = [i for i, base in enumerate(text) if base in "ACGT"]
    positions = data.draw(st.lists(st.sampled_from(sites), min_size=1, max_size=6))
    width = 4 * model.tokeniser.k if model.tokeniser.stride > 1 else 8
    text_bytes = ascii_array(text)
    together = site_logits(scorer(model, kind), text_bytes, positions, width)
    alone = [
        site_logits(scorer(model, kind, batch_size=2), text_bytes, [pos], width)[0]
        for pos in positions
    ]
    np.testing.assert_allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize(("name", "kind"), [*KINDS, ("plain", "likelihood")])
@given(text=TEXTS, data=st.data())
@settings(max_examples=6)
def test_the_reverse_complement_swaps_the_strands(name, kind, text, data):
    """Of an odd window, which is its own mirror image."""
    model = {**MODELS, **CAUSAL}[name]
    pos = data.draw(st.sampled_from([i for i, base in enumerate(text) if base in "ACGT"]))
    width = 3 * model.tokeniser.k if model.tokeniser.stride > 1 else 7
    here = site_logits(scorer(model, kind), ascii_array(text), [pos], width)[0]
    mirrored = len(text) - 1 - pos
    there = site_logits(scorer(model, kind), ascii_array(reverse(text)), [mirrored], width)[0]
    if name.startswith("overlapping") and kind == "masked" and model.tokeniser.k % 2 == 0:
        return  # the k-mer that is read has one more base on one side
    np.testing.assert_allclose(here, there[::-1, ::-1], atol=1e-5)


@pytest.mark.parametrize(("name", "kind"), KINDS)
@given(text=TEXTS, data=st.data())
@settings(max_examples=6)
def test_swapping_ref_and_alt_does_what_the_kind_says(name, kind, text, data):
    model, what = MODELS[name], SCORE_KINDS[kind]
    pos = data.draw(st.sampled_from([i for i, base in enumerate(text) if base in "ACGT"]))
    alt = data.draw(st.sampled_from([base for base in "ACGT" if base != text[pos]]))
    width = 4 * model.tokeniser.k if model.tokeniser.stride > 1 else 8
    swapped = text[:pos] + alt + text[pos + 1 :]
    scores = []
    for sequence, ref, other in ((text, text[pos], alt), (swapped, alt, text[pos])):
        numbers = site_logits(scorer(model, kind), ascii_array(sequence), [pos], width)
        indices = [np.array(["ACGT".index(base)]) for base in (ref, other)]
        scores.append(formulas.score_by_strand(what, numbers, *indices)[0])
    if what.swap == "negates":
        np.testing.assert_allclose(scores[0], -scores[1], atol=1e-4)
    elif what.swap == "same":
        np.testing.assert_allclose(scores[0], scores[1], atol=1e-4)


def test_one_strand_is_scored_alone():
    forward = scorer(MODELS["bases"], "cosine", strands="forward")
    numbers = site_logits(forward, ascii_array("ACGTACGTACGT"), [5], 8)
    both = site_logits(replace(forward, strands="both"), ascii_array("ACGTACGTACGT"), [5], 8)
    assert np.isnan(numbers[:, 1]).all()
    np.testing.assert_array_equal(numbers[:, 0], both[:, 0])
