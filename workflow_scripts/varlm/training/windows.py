"""Windows to train on: where they are, how often each is drawn, which are left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.tables.schemas import WINDOWS
from varlm.training import kmers, peptides
from varlm.training.corpus import BASE, REGION_SHIFT, REGIONS
from varlm.training.draws import balanced, shared_out
from varlm.training.genomes import Contig

# A window is too like a held-out contig if it shares this many of its k-mers: a copy, a repeat …
_COPY = 0.1
# … or if it lies in a stretch where that many windows share at least one: the same chromosome in a
# distant species, by another name after a translocation.
_STRETCH, _SYNTENIC = 20_000, 0.25

_MOST_UNKNOWN = 0.1  # share of bases that are not A, C, G or T
_MOST_KEPT = 50_000_000  # k-mers held at once, over all genomes

TOO_UNKNOWN, TOO_SIMILAR = "unknown bases", "similar to a contig held out"


@dataclass(frozen=True)
class Layout:
    """How windows are laid over the contigs.

    Attributes
    ----------
    window, stride : int
        Length of a window and distance of two starts, bp.
    genic_share : float or None
        Share of the draws that goes to exons with promoters; None: as they are in the genomes.
    deduplicate : bool
        Whether a window counts in proportion to how few copies of it there are.
    exclude_similar : bool
        Whether windows that resemble contigs held out are left out.
    shares : mapping or None
        Group of genomes → its share of the draws; None: by the windows' weights.
    families : bool
        Whether coding sequence counts by how common its protein's family is, too.
    """

    window: int
    stride: int
    genic_share: float | None
    deduplicate: bool
    exclude_similar: bool
    shares: Mapping[str, float] | None = None
    families: bool = False


def lay_windows(
    contigs: Sequence[Contig],
    sets: Sequence[str],
    starts: Sequence[int],
    layout: Layout,
    group_of: Mapping[str, str | None],
) -> pl.DataFrame:
    """Return the windows of all contigs.

    Parameters
    ----------
    contigs : sequence of Contig
    sets : sequence of str
        The set of each contig.
    starts : sequence of int
        Where each contig starts in the corpus.
    layout : Layout
    group_of : mapping
        Genome → its group of `layout.shares`.

    Returns
    -------
    polars.DataFrame
        `WINDOWS`. Contigs shorter than a window have none.

    Raises
    ------
    UserError
        If a group that has a share has nothing to draw.
    """
    sketches = _sketches(contigs)
    copies = _copies(sketches, sets) if layout.deduplicate else None
    held = _not_trained_on(sketches, sets)
    frames = []
    for i, contig in enumerate(contigs):
        length = contig.codes.size
        if length < layout.window:
            continue
        # Validation and test windows do not overlap: none counts twice.
        stride = layout.stride if sets[i] == "train" else layout.window
        at = np.arange(0, length - layout.window + 1, stride)
        if at[-1] + layout.window < length and sets[i] == "train":
            at = np.append(at, length - layout.window)
        regions = contig.codes >> REGION_SHIFT
        genic = (regions > 0) & (regions != REGIONS.index("intron"))
        unknown = _share(((contig.codes & BASE) > 3), at, layout.window)
        places, hashes = sketches[i]
        low = np.searchsorted(places, at)
        high = np.searchsorted(places, at + layout.window - kmers.K, side="right")
        weight = np.ones(at.size)
        if copies is not None:
            weight = _mean(1.0 / copies[i], low, high, empty=1.0)
        reason: NDArray[np.object_] = np.full(at.size, None, dtype=object)
        if layout.exclude_similar and sets[i] == "train" and held.size:
            reason[_similar(_among(hashes, held), low, high, at)] = TOO_SIMILAR
        reason[unknown > _MOST_UNKNOWN] = TOO_UNKNOWN
        frames.append(
            pl.DataFrame(
                {
                    "genome": [contig.genome] * at.size,
                    "contig": [contig.name] * at.size,
                    "contig_start": np.full(at.size, starts[i], np.int64),
                    "contig_end": np.full(at.size, starts[i] + length, np.int64),
                    "start": at + starts[i],
                    "set": [sets[i]] * at.size,
                    "genic": _share(genic, at, layout.window) >= 0.5,
                    "weight": np.where(reason == None, weight, 0.0),  # noqa: E711
                    "left_out": reason.tolist(),
                },
                schema=WINDOWS.schema,
            )
        )
    windows = pl.concat(frames) if frames else WINDOWS.empty()
    if layout.families:
        windows = _by_family(windows, contigs, starts, layout.window)
    if layout.shares is None:
        return balanced(windows, layout.genic_share)
    return shared_out(windows, layout.genic_share, layout.shares, group_of)


def _sketches(
    contigs: Sequence[Contig],
) -> list[tuple[NDArray[np.int64], NDArray[np.uint64]]]:
    total = sum(contig.codes.size for contig in contigs)
    scaled = kmers.SCALED
    while total / scaled > _MOST_KEPT:
        scaled *= 2
    return [kmers.sketch(contig.codes & np.uint8(BASE), scaled) for contig in contigs]


def _not_trained_on(
    sketches: Sequence[tuple[NDArray[np.int64], NDArray[np.uint64]]], sets: Sequence[str]
) -> NDArray[np.uint64]:
    """Return the k-mers of contigs that are held out or validate."""
    of_sets = zip(sketches, sets, strict=True)
    hashes = [hashes for (_, hashes), which in of_sets if which != "train"]
    return np.unique(np.concatenate([np.zeros(0, np.uint64), *hashes]))


def _copies(
    sketches: Sequence[tuple[NDArray[np.int64], NDArray[np.uint64]]], sets: Sequence[str]
) -> list[NDArray[np.int64]]:
    """Return how often each kept k-mer occurs in all contigs of the same set."""
    counts: list[NDArray[np.int64]] = [np.zeros(0, np.int64)] * len(sketches)
    for which in set(sets):
        members = [i for i, other in enumerate(sets) if other == which]
        joined = np.concatenate([sketches[i][1] for i in members])
        _, inverse, count = np.unique(joined, return_inverse=True, return_counts=True)
        ends = np.cumsum([sketches[i][1].size for i in members])
        for i, part in zip(members, np.split(count[inverse], ends[:-1]), strict=True):
            counts[i] = part
    return counts


def _by_family(
    windows: pl.DataFrame, contigs: Sequence[Contig], starts: Sequence[int], window: int
) -> pl.DataFrame:
    """Weigh the training windows by the families of the proteins that they encode."""
    coding = np.zeros(windows.height)
    at = windows["start"].to_numpy()
    for contig, start in zip(contigs, starts, strict=False):
        low, high = np.searchsorted(at, [start, start + contig.codes.size])
        if high > low:
            flags = contig.codes >> REGION_SHIFT == REGIONS.index("coding")
            coding[low:high] = _share(flags, at[low:high] - start, window)
    train = windows["set"].to_numpy() == "train"
    weights = windows["weight"].to_numpy().copy()
    weights[train] *= peptides.family_factors(
        windows.filter(train),
        window,
        coding[train],
        np.concatenate([c.places + start for c, start in zip(contigs, starts, strict=False)]),
        np.concatenate([contig.hashes for contig in contigs]),
    )
    return windows.with_columns(weight=weights)


def _similar(
    hit: NDArray[np.bool_], low: NDArray[np.int64], high: NDArray[np.int64], at: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Whether each window of a contig is too like what is held out."""
    share = _mean(hit.astype(float), low, high, empty=0.0)
    stretch = at // _STRETCH
    touched = np.bincount(stretch, share > 0) / np.maximum(np.bincount(stretch), 1)
    return np.asarray((share >= _COPY) | (touched[stretch] >= _SYNTENIC))


def _among(hashes: NDArray[np.uint64], held: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Whether each hash is one of `held`, which is sorted and not empty."""
    at = np.minimum(np.searchsorted(held, hashes), held.size - 1)
    return np.asarray(held[at] == hashes)


def _mean(
    values: NDArray[np.float64], low: NDArray[np.int64], high: NDArray[np.int64], empty: float
) -> NDArray[np.float64]:
    """Mean of values[low:high] for each pair; `empty` where there are none."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    count = high - low
    return np.where(count > 0, (sums[high] - sums[low]) / np.maximum(count, 1), empty)


def _share(flags: NDArray[np.bool_], at: NDArray[np.int64], window: int) -> NDArray[np.float64]:
    """Return the share of each window's bases that have the flag."""
    sums = np.concatenate([[0], np.cumsum(flags)])
    return np.asarray((sums[at + window] - sums[at]) / window)
