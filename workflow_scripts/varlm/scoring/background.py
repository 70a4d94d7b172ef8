"""The background: scores of random SNVs of the genome, in which a percentile is a score's rank.

A score's scale differs between models and genomes. Its rank among those of random sites, all
three SNVs each, does not: 1 is as rare in a yeast under one model as in a human under another.
"""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.genome.bases import BASES
from varlm.genome.reference import Genome
from varlm.genome.sites import sample_sites
from varlm.models.prepared import PreparedModel, Strands
from varlm.scoring import formulas
from varlm.scoring.lost_rows import lost_rows_told
from varlm.store import KINDS, Store
from varlm.tables.schemas import BACKGROUND
from varlm.tables.score_kinds import ScoreKind

log = logging.getLogger("varlm")

SEED = 0
PREFIX = "BG."  # of a background's digest

_SITES = {"contig": pl.String(), "pos": pl.UInt32(), "base": pl.UInt8()}


@dataclass(frozen=True)
class Background:
    """Which sites make the background of a genome.

    Attributes
    ----------
    digest : str
        Names this choice in the store: a hash of the genome's sequences (not their names or
        order) and which of them are circular, the number of sites, the seed and the strands.
    genome : Genome
    count : int
        Number of sites.
    strands : str
        Of the model. No annotation is known here: of `transcript`, the scores are those of the
        forward strand, of one strand, as most alleles' are.
    """

    digest: str
    genome: Genome
    count: int
    strands: Strands = "both"

    @cached_property
    def sites(self) -> Mapping[str, NDArray[np.uint32]]:
        """Contig name → 1-based positions, uint32, sorted. Reads the whole genome, once."""
        return sample_sites(self.genome, self.count, SEED)


def choose(genome: Genome, count: int, strands: Strands = "both") -> Background:
    """Draw `count` of the genome's A, C, G, T positions, or take all where there are fewer."""
    count = min(count, int(genome.contigs["acgt"].sum()))
    sequences = sorted(genome.stored_as)
    # A model's key has both and transcript as one; its scores' means are another thing.
    of_strand = ["forward"] if strands == "transcript" else []
    text = "\n".join(["varlm background 1", *of_strand, str(count), str(SEED), *sequences])
    short = hashlib.sha512(text.encode()).digest()[:24]
    digest = PREFIX + base64.urlsafe_b64encode(short).decode()
    return Background(digest, genome, count, strands)


def kept_scores(
    background: Background, store: Store, model: PreparedModel, constant: float = 0.0
) -> pl.DataFrame:
    """Return the scores (`BACKGROUND`) that the store keeps, or those of its sites, to be kept.

    They are kept where the store can be written, as the numbers there have them. Returned, the
    constant between dense and masked LLRs is added. (Rounded before and after, a score may differ
    by half a rank from that of the annotated table, whose numbers are rounded once.)

    Parameters
    ----------
    background : Background
    store : Store
    model : PreparedModel
    constant : float
        Nats (`varlm.scoring.dense_scale`); 0 of other than dense scores.

    Raises
    ------
    UserError
        If they are not kept and the store lacks a site.
    """
    rows = store.read_background(model.key, background.digest)
    source = "in the store"
    if rows is None:
        source = "new"
        with lost_rows_told(store.root):
            rows = background_scores(background, store, model.key, model.kind)
        if store.writable(model.key):
            store.commit(model.key, model.to_json(), background=[(background.digest, rows)])
    if constant:
        score = pl.col("llr").cast(pl.Float64) + constant
        rows = rows.with_columns(score.cast(pl.Float32).alias("llr"))
    log.info(
        "model %s: background of %d SNVs (%s), %s quartiles %s",
        model.name,
        rows.height,
        source,
        "LLR" if model.kind.is_llr else model.kind.name,
        ", ".join(_shown(rows["llr"].quantile(q), model.kind) for q in (0.25, 0.5, 0.75)),
    )
    return rows


def _shown(score: float | None, kind: ScoreKind) -> str:
    return f"{score:.2f}" if kind.is_llr else f"{score:.3g}"


def background_scores(
    background: Background, store: Store, key: str, kind: ScoreKind = formulas.MASKED
) -> pl.DataFrame:
    """Return the scores of all three SNVs at the background's sites (`BACKGROUND`).

    Raises
    ------
    LookupError
        If the store lacks a site: `plan`, `score` and `commit` make sure that it does not.
    """
    genome = background.genome
    sites = {contig: chosen for contig, chosen in background.sites.items() if len(chosen)}
    wanted = pl.concat(
        [
            pl.DataFrame(schema=_SITES),
            *(
                pl.DataFrame(
                    {
                        "contig": genome[contig].stored_as,
                        "pos": positions,
                        "base": genome.sequence(contig)[positions.astype(np.int64) - 1],
                    },
                    schema=_SITES,
                )
                for contig, positions in sites.items()
            ),
        ]
    ).unique()  # two contigs of one sequence may give one site twice
    stored = store.rows_of(key, KINDS["sites"], wanted.select("contig", "pos"))
    rows = wanted.join(stored, on=["contig", "pos"])
    if rows.height != wanted.height:
        lacking = wanted.join(stored, on=["contig", "pos"], how="anti")["contig"]
        digest = lacking.min()
        contig = next(name for name in sites if genome[name].stored_as == digest)
        raise LookupError(
            f"{(lacking == digest).sum()} of {(wanted['contig'] == digest).sum()} background sites "
            f"on contig {contig} are not in the store"
        )
    strand = formulas.FORWARD if background.strands == "transcript" else formulas.BOTH
    return _three_snvs(rows, kind, strand).sort("contig", "pos", "ref", "alt")


def _three_snvs(rows: pl.DataFrame, kind: ScoreKind, strand: int) -> pl.DataFrame:
    """Return scores (`BACKGROUND`) at sites: `contig`, `pos`, `base` (ASCII), the numbers."""
    numbers = formulas.site_logits(rows)
    ref = formulas.base_index(rows["base"].to_numpy())
    letters = np.array(list(BASES))
    frames = []
    for step in (1, 2, 3):
        alt = (ref + step) % 4
        by_strand = formulas.score_by_strand(kind, numbers, ref, alt)
        score = formulas.strand_mean(by_strand, np.full(len(ref), strand))
        frames.append(
            pl.DataFrame(
                {
                    "contig": rows["contig"],
                    "pos": rows["pos"],
                    "ref": letters[ref],
                    "alt": letters[alt],
                    "llr": score.astype(np.float32),
                },
                schema=BACKGROUND.schema,
            )
        )
    return pl.concat(frames)


class Percentiles:
    """Ranks scores among those of a background, from the harmful end: low is harmful.

    Parameters
    ----------
    scores : float, shape (n,)
        The background's, in any order, n > 0.
    harmful : str
        Which end is the harmful one: `low` or `high`.
    """

    def __init__(self, scores: NDArray[np.floating], harmful: Literal["low", "high"] = "low"):
        self._sign = np.float32(-1 if harmful == "high" else 1)
        self._sorted = np.sort(self._sign * np.asarray(scores, dtype=np.float32))

    def __call__(self, scores: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the percentage of the background that is more harmful, ties half: 0 to 100.

        Parameters
        ----------
        scores : float, shape (n,)
            NaN gives NaN.
        """
        # As they are stored: a background site ranks as itself.
        values = self._sign * np.asarray(scores, dtype=np.float32)
        before = np.searchsorted(self._sorted, values, side="left")
        not_behind = before.copy()
        # Few are ties: of these alone it must be known where they end.
        tied = np.flatnonzero(self._sorted.take(before, mode="clip") == values)
        not_behind[tied] = np.searchsorted(self._sorted, values[tied], side="right")
        percent = 50.0 * (before + not_behind) / len(self._sorted)
        return np.where(np.isnan(values), np.nan, percent)
