"""Genomes → a training's corpus: bases with their classes, windows, and what they add up to."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.training.corpus import REGION_SHIFT, REGIONS, SETS
from varlm.training.description import CorpusDescription, GenomeCounts, SetCounts
from varlm.training.genomes import Contig, Source, read_genome, sets_of
from varlm.training.windows import Layout, lay_windows

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Contents:
    """What goes into a corpus.

    Attributes
    ----------
    sources : sequence of Source
    layout : Layout
    promoter : int
        bp before a transcript's start that count as promoter.
    held_out, validation : sequence of str
        Contigs, in every genome.
    """

    sources: Sequence[Source]
    layout: Layout
    promoter: int
    held_out: Sequence[str]
    validation: Sequence[str]


@dataclass(frozen=True)
class Prepared:
    """A corpus in memory.

    Attributes
    ----------
    contigs : sequence of Contig
        Of all genomes, in the order of their bases in the corpus.
    sets : sequence of str
        The set of each contig.
    windows : polars.DataFrame
        `WINDOWS`.
    """

    contigs: Sequence[Contig]
    sets: Sequence[str]
    windows: pl.DataFrame

    @property
    def bases(self) -> NDArray[np.uint8]:
        """All contigs' bases, one after the other: see `varlm.training.corpus`."""
        return np.concatenate([contig.codes for contig in self.contigs])


def prepare(contents: Contents) -> Prepared:
    """Read the genomes, and lay windows over them.

    Raises
    ------
    UserError
        If a file is damaged, a contig is not there, or nothing is left to train on.
    """
    contigs = [
        contig
        for source in contents.sources
        for contig in read_genome(source, contents.promoter, peptides=contents.layout.families)
    ]
    names = {s.name: [c.name for c in contigs if c.genome == s.name] for s in contents.sources}
    set_of = sets_of(names, contents.held_out, contents.validation)
    sets = [set_of[contig.genome, contig.name] for contig in contigs]
    starts = [0, *np.cumsum([contig.codes.size for contig in contigs]).tolist()]
    group_of = {source.name: source.group for source in contents.sources}
    windows = lay_windows(contigs, sets, starts, contents.layout, group_of)
    prepared = Prepared(contigs, sets, windows)
    _check(prepared, contents.layout.window)
    return prepared


def describe(prepared: Prepared, contents: Contents, digest: str) -> CorpusDescription:
    """Return corpus.json of a corpus with that digest."""
    contigs = prepared.contigs
    return CorpusDescription(
        digest=digest,
        bases=sum(contig.codes.size for contig in contigs),
        **asdict(contents.layout),
        promoter=contents.promoter,
        held_out=contents.held_out,
        validation=contents.validation,
        genomes=[
            GenomeCounts(
                name=source.name,
                fasta=source.fasta.name,
                annotation=source.annotation.name if source.annotation else None,
                contigs=sum(c.genome == source.name for c in contigs),
                bases=sum(c.codes.size for c in contigs if c.genome == source.name),
                group=source.group,
            )
            for source in contents.sources
        ],
        sets={name: _counts(prepared, name) for name in SETS},
    )


def report(description: CorpusDescription) -> None:
    """Log how many windows each set has."""
    for name, counts in description.sets.items():
        log.info(
            "%s: %d contigs, %d windows, %d of them to draw from (%.0f without copies)%s",
            name,
            counts.contigs,
            counts.windows,
            counts.drawn,
            counts.weight,
            "".join(f"; {n} left out: {reason}" for reason, n in counts.left_out.items()),
        )


def _check(prepared: Prepared, window: int) -> None:
    """Raise `UserError` if there is nothing to train on."""
    windows = prepared.windows.filter(pl.col("set") == "train")
    if windows.filter(pl.col("weight") > 0).height:
        return
    pairs = zip(prepared.contigs, prepared.sets, strict=True)
    longest = max((contig.codes.size for contig, name in pairs if name == "train"), default=0)
    if longest < window:
        raise UserError(
            f"no contig to train on is as long as a window of {window} bp, the longest has "
            f"{longest} bp; lower train.<name>.windows.length or give longer contigs"
        )
    reasons = dict(windows.group_by("left_out").len().sort("len").iter_rows())
    listed = ", ".join(f"{count} for {reason}" for reason, count in reasons.items())
    raise UserError(
        f"no window is left to train on ({listed}); are the contigs all N, or copies of those held "
        "out?"
    )


def _counts(prepared: Prepared, name: str) -> SetCounts:
    """Return what the set of that name holds."""
    of_set = prepared.windows.filter(pl.col("set") == name)
    members = [c for c, which in zip(prepared.contigs, prepared.sets, strict=True) if which == name]
    regions = np.zeros(len(REGIONS), np.int64)
    for contig in members:
        regions += np.bincount(contig.codes >> REGION_SHIFT, minlength=len(REGIONS))
    drawn = of_set.filter(pl.col("weight") > 0)
    left_out = of_set.drop_nulls("left_out").group_by("left_out").len().sort("left_out")
    return SetCounts(
        contigs=len(members),
        bases=dict(zip(REGIONS, regions.tolist(), strict=True)),
        windows=of_set.height,
        drawn=drawn.height,
        genic=drawn.filter("genic").height,
        weight=float(drawn["weight"].sum()),
        left_out=dict(left_out.iter_rows()),
    )
