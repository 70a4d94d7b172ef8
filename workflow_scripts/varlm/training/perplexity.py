"""How well models predict single masked bases of sequence that they never saw."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.evaluation.resampling import Measured
from varlm.evaluation.resampling import resamples as draw
from varlm.genome.bases import LETTERS
from varlm.tables.model_schemas import PERPLEXITY
from varlm.training.corpus import BASE, REGION_SHIFT, REGIONS, Corpus

log = logging.getLogger(__name__)

# Region classes that are also shown together: what lies outside genes.
GROUPS = {"outside genes": ("intergenic", "promoter"), "all": REGIONS}

if TYPE_CHECKING:
    from varlm.models.language_model import LanguageModel


@dataclass(frozen=True)
class Sites:
    """Sites of a corpus to predict.

    Attributes
    ----------
    windows : uint8 ASCII, shape (sites, W)
        Around each site, which is at `varlm.genome.windows.centre(W)`.
    base : int64, shape (sites,)
        What is there: 0 to 3 for A, C, G, T.
    region : int64, shape (sites,)
        Index of `REGIONS`.
    """

    windows: NDArray[np.uint8]
    base: NDArray[np.int64]
    region: NDArray[np.int64]


def sample_sites(corpus: Corpus, which: str, count: int, seed: int) -> Sites:
    """Draw sites of a set, by the windows' weights: copies of a stretch count as one.

    Parameters
    ----------
    corpus : Corpus
    which : str
        validation or held_out.
    count, seed : int
    """
    windows = corpus.of(which)
    random = np.random.default_rng(seed)
    weight = windows["weight"].to_numpy()
    chosen = random.choice(windows.height, count, p=weight / weight.sum())
    size = corpus.window
    centre = windows["start"].to_numpy()[chosen] + random.integers(0, size, count)
    low = windows["contig_start"].to_numpy()[chosen]
    high = windows["contig_end"].to_numpy()[chosen] - size
    start = np.clip(centre - size // 2, low, high)
    kept = (centre - start == size // 2) & ((corpus.bases[centre] & BASE) < 4)
    start, centre = start[kept], centre[kept]
    codes = corpus.bases[start[:, None] + np.arange(size)]
    at = corpus.bases[centre]
    return Sites(
        windows=LETTERS[codes & BASE],
        base=(at & BASE).astype(np.int64),
        region=(at >> REGION_SHIFT).astype(np.int64),
    )


def measure(
    name: str, model: LanguageModel, sites: Sites, batch_size: int
) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Return the losses of a model at the sites.

    The model computes as `precision: auto` has it, and in float32 again afterwards.

    Parameters
    ----------
    name : str
    model : LanguageModel
    sites : Sites
    batch_size : int
        Windows a forward pass.

    Returns
    -------
    dict
        Name → `losses`; of a causal model also `{name}, one side`.
    """
    from varlm.genome.windows import CHUNK
    from varlm.scoring.loading import SAMPLE
    from varlm.scoring.scorer import Scorer
    from varlm.scoring.tuning import tune

    scorer = Scorer(model, "both", batch_size)
    count = len(sites.base)
    # They lie in random order; with so few as to be the sample, trying out takes longer.
    precision = "auto" if count > SAMPLE else "float32"
    choice = tune(scorer, sites.windows[:SAMPLE], precision, count)
    logits = np.concatenate(
        [
            scorer.sites(sites.windows[low : low + CHUNK], lambda i: f"site {i}")
            for low in range(0, count, CHUNK)
        ]
    )
    model.set_mode("float32")
    measured = {name: losses(logits, sites.base)}
    if model.causal:
        logits = one_sided(model, sites.windows, scorer.batch_size)
        measured[f"{name}, one side"] = losses(logits, sites.base)
    perplexity = np.exp(measured[name]["mean"].mean())
    log.info("%s (%s): perplexity %.4f", name, model.describe(), perplexity)
    log.info("%s: %s", name, choice.summary(SAMPLE))
    return measured


def one_sided(
    model: LanguageModel, windows: NDArray[np.uint8], batch_size: int
) -> NDArray[np.float32]:
    """Return what a causal model says of each site from one side of it alone.

    Not its best answer, which sees both sides (`varlm.scoring.scorer.Scorer.sites`), but the
    usual one.

    Parameters
    ----------
    model : LanguageModel
        A causal one.
    windows : uint8 ASCII, shape (sites, W)
    batch_size : int

    Returns
    -------
    float32, shape (sites, 2, 4)
        Log p of A, C, G, T, from the bases before the site and from those after it.
    """
    import torch

    from varlm.genome.windows import centre, reverse_complement

    width = windows.shape[1]
    parts = []
    for low in range(0, len(windows), batch_size):
        batch = windows[low : low + batch_size]
        sides = (
            batch[:, : centre(width) + 1],
            reverse_complement(batch)[:, : centre(width, "reverse") + 1],
        )
        before, after = (
            model.base_logits(torch.from_numpy(model.encode(side)).to(model.device))[:, -1]
            for side in sides
        )
        parts.append(torch.stack([before, after.flip(-1)], 1).cpu().numpy())
    return np.concatenate(parts)


def losses(logits: NDArray[np.float32], base: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """Return each site's loss in nats, by how the two strands are put together.

    Parameters
    ----------
    logits : float32, shape (sites, 2, 4)
        From `varlm.scoring.scorer.Scorer.sites`.
    base : int64, shape (sites,)

    Returns
    -------
    dict
        `forward`, `reverse`: a strand alone; `mean`: of the probability that is the mean of both;
        `product`: of their geometric mean, made to add up to 1.
    """
    wide = logits.astype(np.float64)
    log_p = wide - np.logaddexp.reduce(wide, axis=2, keepdims=True)
    rows = np.arange(len(base))
    both = log_p.sum(1) / 2
    both -= np.logaddexp.reduce(both, axis=1, keepdims=True)
    return {
        "forward": -log_p[rows, 0, base],
        "reverse": -log_p[rows, 1, base],
        "mean": -(np.logaddexp(log_p[rows, 0, base], log_p[rows, 1, base]) - np.log(2)),
        "product": -both[rows, base],
    }


def table(
    losses_by_model: Mapping[str, Mapping[str, NDArray[np.float64]]],
    region: NDArray[np.int64],
    resamples: int = 1000,
    seed: int = 0,
) -> pl.DataFrame:
    """Return perplexities with intervals.

    Parameters
    ----------
    losses_by_model : mapping
        Model → `losses`; the first model is what the others are compared with.
    region : int64, shape (sites,)
    resamples, seed : int
        Of the bootstrap over sites: 95 % percentile intervals.

    Returns
    -------
    polars.DataFrame
        `PERPLEXITY`.
    """
    rows = []
    groups = {name: (name,) for name in REGIONS} | GROUPS
    pairs = [(model, way) for model, ways in losses_by_model.items() for way in ways]
    losses_of = np.array([losses_by_model[model][way] for model, way in pairs])
    first = pairs.index((pairs[0][0], "mean"))
    for group, members in groups.items():
        losses = losses_of[:, np.isin(region, [REGIONS.index(name) for name in members])]
        size = losses.shape[1]
        if not size:
            continue
        drawn = [(losses * counts).mean(1) for (counts,) in draw([size], resamples, seed)]
        measured = Measured(losses.mean(1), np.array(drawn).T)
        for i, (model, way) in enumerate(pairs):
            whole = np.quantile(measured.resampled[i], [0.025, 0.975])
            ratio = np.quantile(measured.resampled[i] - measured.resampled[first], [0.025, 0.975])
            rows.append(
                {
                    "model": model,
                    "strands": way,
                    "region": group,
                    "sites": size,
                    "perplexity": math.exp(measured.values[i]),
                    "perplexity_low": math.exp(whole[0]),
                    "perplexity_high": math.exp(whole[1]),
                    "ratio": math.exp(measured.difference(i, first)),
                    "ratio_low": math.exp(ratio[0]),
                    "ratio_high": math.exp(ratio[1]),
                }
            )
    return pl.DataFrame(rows, schema=PERPLEXITY.schema)
