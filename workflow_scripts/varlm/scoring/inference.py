"""A model and rows of a shard → the scores of those rows, in stretches of a few seconds' work.

The one way from rows to scores: of the step `score`, of the pictures of a report, of every test.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.genome.reference import Genome
from varlm.genome.sequences import SequencePairs, sequence_pairs
from varlm.genome.tiles import Tiles
from varlm.genome.windows import CHUNK, AlleleWindows, Bytes, allele_windows, site_windows
from varlm.models.tokens import PAD
from varlm.run import heartbeat
from varlm.run.progress import Progress
from varlm.scoring import formulas
from varlm.scoring.partial_scores import PartialScores
from varlm.tables.schemas import LOGIT_COLUMNS

if TYPE_CHECKING:
    from varlm.scoring.scorer import Scorer

INTERVAL = 5.0  # seconds of work that a stopped job may lose, or one batch where that takes longer


@dataclass(frozen=True)
class Kind:
    """A kind of rows, and what their scores are.

    Attributes
    ----------
    name : str
        In the plural, for the log.
    schema : mapping
        Columns of the scores: name → type.
    score : function
        Scorer, genome, rows (contig, pos, ref, alt) and W in bp → scores, a row each.
    """

    name: str
    schema: Mapping[str, pl.DataType]
    score: Callable[[Scorer, Genome, pl.DataFrame, int], pl.DataFrame]


def _score_sites(scorer: Scorer, genome: Genome, rows: pl.DataFrame, window: int) -> pl.DataFrame:
    if scorer.recipe.tiles is not None:
        return formulas.logit_columns(_tile_answers(scorer, genome, rows, scorer.recipe.tiles))
    windows = site_windows_of(genome, rows, window, scorer.recipe.before(window))
    return formulas.logit_columns(scorer.sites(windows, _locator(rows)))


def _tile_answers(
    scorer: Scorer, genome: Genome, rows: pl.DataFrame, tiles: Tiles
) -> NDArray[np.float32]:
    """Return the numbers of sites, each from its tile, which is read once: (rows, 2, 4)."""
    windows, first, tile_of, places = [], [], [], []
    count = row = 0
    for contig, part in _by_contig(rows):
        positions = _starts(part)
        sequence, circular = genome.sequence(contig), genome[contig].circular
        numbers, starts, which = np.unique(
            tiles.of(positions), return_index=True, return_inverse=True
        )
        windows.append(tiles.windows(sequence, numbers, circular, PAD))
        first.append(row + starts)
        tile_of.append(count + which)
        places.append(tiles.places(positions, len(sequence)))
        count, row = count + len(numbers), row + part.height
    which, row_of = np.concatenate(tile_of), np.concatenate(first)
    locate = _locator(rows)
    answers = scorer.tiles(
        np.concatenate(windows),
        lambda tile: f"the tile of {locate(int(row_of[tile]))}",
        np.bincount(which),
    )
    return answers[which, np.concatenate(places)]


def tile_windows_of(genome: Genome, rows: pl.DataFrame, tiles: Tiles) -> Bytes:
    """Return forward-strand windows of the rows' tiles, in their order: (rows, tiles.window)."""
    parts = []
    for contig, part in _by_contig(rows):
        sequence, circular = genome.sequence(contig), genome[contig].circular
        parts.append(tiles.windows(sequence, tiles.of(_starts(part)), circular, PAD))
    return np.concatenate(parts)


def _score_alleles(scorer: Scorer, genome: Genome, rows: pl.DataFrame, window: int) -> pl.DataFrame:
    return pl.DataFrame(ratios(scorer, genome, rows, window), schema=dict(ALLELES.schema))


def ratios(scorer: Scorer, genome: Genome, rows: pl.DataFrame, window: int) -> NDArray[np.float64]:
    """Return the log-likelihood ratios of indels and MNVs on both strands: (rows, 2), nats.

    By whole windows or by pseudo-log-likelihoods, as the kind of score has it.
    """
    if scorer.recipe.kind.alleles == "sequence":
        pairs = sequence_pairs_of(genome, rows, window, scorer.recipe.before(window))
        return scorer.sequences(pairs, _locator(rows))
    return scorer.alleles(allele_windows_of(genome, rows, window), _locator(rows))


SITES = Kind("sites", dict.fromkeys(LOGIT_COLUMNS, pl.Float32()), _score_sites)
ALLELES = Kind("alleles", dict.fromkeys(("llr_fwd", "llr_rev"), pl.Float64()), _score_alleles)


def score_missing(
    scorer: Scorer,
    kind: Kind,
    rows: pl.DataFrame,
    genome: Genome,
    window: int,
    partial: PartialScores,
) -> None:
    """Score the rows of a kind that `partial` lacks, in their order, and add each stretch to it.

    A stretch is as many batches as take about `INTERVAL`: more where a GPU does thousands of
    windows a second, one where a batch takes longer.

    Parameters
    ----------
    rows : polars.DataFrame
        All rows of the kind, of `varlm.tables.schemas.SHARD`; `partial` holds the first of them.
    window : int
        W in bp.

    Raises
    ------
    UserError
        If a logit is no finite number, or an allele does not fit the window or the reference.
    """
    done = partial.scores(kind.schema).height
    progress = Progress(rows.height, kind.name, done)

    def batch_done(count: int) -> None:
        progress(count)
        heartbeat.beat()

    scorer.progress = batch_done
    ends = _window_ends(rows, scorer.recipe.tiles if kind is SITES else None)
    batches = 1
    while done < rows.height:
        started = time.monotonic()
        windows = int(np.searchsorted(ends, done, side="right")) + batches * scorer.batch_size
        part = rows[done : int(ends[min(windows, len(ends)) - 1])]
        scores = kind.score(scorer, genome, part, window)
        seconds = time.monotonic() - started
        partial.add(scores, seconds, scorer.batch_size)
        done += part.height
        if seconds < INTERVAL / 2 and 2 * batches * scorer.batch_size <= CHUNK:
            batches *= 2
        elif seconds > INTERVAL:
            batches = max(batches // 2, 1)


def _window_ends(rows: pl.DataFrame, tiles: Tiles | None) -> NDArray[np.int64]:
    """Return the row behind the last one of each window: of each row, or of each tile."""
    if tiles is None or rows.is_empty():
        return np.arange(1, rows.height + 1)
    tile = tiles.of(_starts(rows))
    contig = rows["contig"].rle_id().to_numpy()
    last = (np.diff(tile) != 0) | (np.diff(contig) != 0)
    return np.append(np.flatnonzero(last) + 1, rows.height)


def spread(rows: pl.DataFrame, size: int) -> pl.DataFrame:
    """Return at most `size` rows, spread evenly over all of them: a sample of their windows."""
    return rows[np.unique(np.linspace(0, rows.height - 1, size).astype(int))]


def allele_windows_of(genome: Genome, rows: pl.DataFrame, window: int) -> AlleleWindows:
    """Return windows of the rows' alleles, in their order; several contigs at once."""
    parts = []
    for contig, part in _by_contig(rows):
        refs, alts = part["ref"].to_list(), part["alt"].to_list()
        sequence, circular = genome.sequence(contig), genome[contig].circular
        try:
            parts.append(allele_windows(sequence, _starts(part), refs, alts, window, circular, PAD))
        except UserError as error:
            raise UserError(f"contig {contig}: {error}") from error
    return AlleleWindows.concatenate(parts)


def sequence_pairs_of(
    genome: Genome, rows: pl.DataFrame, window: int, before: int
) -> SequencePairs:
    """Return whole windows of the rows' alleles, in their order; several contigs at once."""
    parts = []
    for contig, part in _by_contig(rows):
        try:
            parts.append(
                sequence_pairs(
                    genome.sequence(contig),
                    _starts(part),
                    part["ref"].to_list(),
                    part["alt"].to_list(),
                    window,
                    before=before,
                    pad=PAD,
                    circular=genome[contig].circular,
                )
            )
        except UserError as error:
            raise UserError(f"contig {contig}: {error}") from error
    return SequencePairs.concatenate(parts)


def site_windows_of(
    genome: Genome, rows: pl.DataFrame, window: int, before: int | None = None
) -> Bytes:
    """Return forward-strand windows of the rows' positions, in their order, shape (rows, W).

    Each position has `before` bases on its left, W//2 if it is None.
    """
    parts = []
    for contig, part in _by_contig(rows):
        sequence, circular = genome.sequence(contig), genome[contig].circular
        parts.append(site_windows(sequence, _starts(part), window, circular, before, PAD))
    return np.concatenate(parts)


def _starts(rows: pl.DataFrame) -> NDArray[np.int64]:
    """0-based positions."""
    return rows["pos"].to_numpy().astype(np.int64) - 1


def _by_contig(rows: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """Stretches of neighbouring rows on one contig, in order."""
    start = 0
    for run in rows["contig"].rle():
        yield run["value"], rows[start : start + run["len"]]
        start += run["len"]


def _locator(rows: pl.DataFrame) -> Callable[[int], str]:
    return lambda row: f"{rows['contig'][row]}:{rows['pos'][row]}"
