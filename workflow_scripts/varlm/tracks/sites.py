"""What a model says of each site, as tracks for genome browsers.

`worst_llr` is the lowest of the log-likelihood ratios of the site's three SNVs, or, of another
kind of score, `worst_cosine` and so on the most harmful of them. Of a kind that gives A, C, G, T
probabilities `entropy` is that of the site, and `logo_A` … `logo_T` are the heights of the four
letters of a sequence logo, p × (2 − H) with H in bits (Schneider and Stephens 1990, without their
correction for small samples): browsers that stack the four draw the logo. Scores and entropy are
the numbers of the annotated table.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from math import log as ln
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.files.whole import atomic_path
from varlm.genome.bases import BASES
from varlm.genome.reference import Genome
from varlm.scoring import formulas
from varlm.store.layout import KINDS, Kind
from varlm.tables.schemas import LOGIT_COLUMNS
from varlm.tables.score_kinds import ScoreKind
from varlm.tracks.bigwig import write_bigwigs
from varlm.tracks.snv_sites import Sites, snv_sites
from varlm.tracks.spool import Spool

# A site of a bigWig has one value; the most harmful of a track is where its display ends, and a few
# odd sites should not make all others flat: 1 % of them may lie beyond.
LOW = 0.01
_SAMPLE = 1_000_000  # values that this share is taken from


@dataclass(frozen=True)
class Track:
    """A track: its name and that of its file less `.bw`, unit and meaning."""

    name: str
    unit: str
    meaning: str


ENTROPY = "entropy"


def tracks_of(kind: ScoreKind) -> tuple[Track, ...]:
    """Return the tracks of a model with this kind of score, that of the score first."""
    return (_worst_track(kind), *(_SITE_TRACKS if kind.distribution else ()))


def worst_name(kind: ScoreKind) -> str:
    """Return the name of the track of a site's most harmful score."""
    return f"worst_{kind.column}"


def _worst_track(kind: ScoreKind) -> Track:
    end = "highest" if kind.worst_first else "lowest"
    score = f"log-likelihood ratio (alt − ref, {_strand(kind)})"
    if not kind.is_llr:
        score = f"{kind.meaning} ({_strand(kind)}; {kind.harmful}: harmful),"
    return Track(worst_name(kind), kind.unit, f"{end} {score} of the site's three SNVs")


def _strand(kind: ScoreKind) -> str:
    """Return of which strand a track is: a site has no transcript that could choose one."""
    return "mean of both strands" if kind.strands == "transcript" else kind.strand


_SITE_TRACKS = (
    Track(ENTROPY, "nats", "entropy of A, C, G, T at the site; low: the model is sure"),
    *(
        Track(
            f"logo_{base}",
            "bits",
            f"height of the letter {base} in a sequence logo: p × (2 − entropy in bits)",
        )
        for base in BASES
    ),
)


class StoredModel(Protocol):
    """What is asked of the model; `varlm.models.prepared.PreparedModel` is one."""

    @property
    def key(self) -> str:
        """Of its rows in the store."""
        ...

    @property
    def kind(self) -> ScoreKind:
        """The kind of its score."""
        ...


class SiteSource(Protocol):
    """What is asked of the store; `varlm.store.Store` is one."""

    def sites_at(self, key: str, contig: str, positions: NDArray[np.uint32]) -> pl.DataFrame:
        """Return `pos` and the eight logits at these positions (1-based, sorted), if known."""
        ...

    def rows_of(self, key: str, kind: Kind, keys: pl.DataFrame) -> pl.DataFrame:
        """Return the rows that `keys` names by `contig` (digest) and `pos`, if known."""
        ...


def site_values(
    numbers: NDArray[Any], ref: NDArray[Any], kind: ScoreKind
) -> dict[str, NDArray[np.float32]]:
    """Return the value of each of a kind's tracks at n sites, shape (n,) each.

    Parameters
    ----------
    numbers : shape (n, 2, 4)
        As in `varlm.scoring.formulas`: strands; A, C, G, T of the forward strand.
    ref : shape (n,)
        Index 0…3 of the reference's base.
    kind : ScoreKind
        Of the model that made the numbers.
    """
    scores = [
        formulas.strand_mean(formulas.score_by_strand(kind, numbers, ref, (ref + step) % 4))
        for step in (1, 2, 3)
    ]
    worst = np.max(scores, axis=0) if kind.worst_first else np.min(scores, axis=0)
    values = {worst_name(kind): worst, **(_of_distribution(numbers) if kind.distribution else {})}
    return {name: column.astype(np.float32) for name, column in values.items()}


def _of_distribution(logits: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    """Return entropy and heights of letters at n sites, by the name of their track."""
    mean = formulas.strand_mean(logits)
    entropy = formulas.entropy(mean)
    heights = formulas.probabilities(mean) * (2 - entropy / ln(2))[:, None]
    return {
        ENTROPY: entropy,
        **{f"logo_{base}": heights[:, number] for number, base in enumerate(BASES)},
    }


def spool_values(
    variants: Sequence[Path],
    genome: Genome,
    store: SiteSource,
    model: StoredModel,
    spool: Spool,
    constant: float = 0.0,
) -> dict[str, tuple[float, float]]:
    """Write the values of all tracks at all SNV sites to a spool; return their extremes.

    The constant is that of `formulas.on_masked_scale`, of dense scores.

    Returns
    -------
    dict
        Track → lowest and highest value; empty where there is no site.

    Raises
    ------
    LookupError
        If the store lacks a site, or has numbers that are not finite.
    UserError
        As `snv_sites`.
    """
    extremes: dict[str, tuple[float, float]] = {}
    for sites in snv_sites(variants, genome):
        stored = _stored(sites, genome, store, model.key)
        lacking = stored[LOGIT_COLUMNS[0]].is_null().to_numpy()
        if lacking.any():
            raise LookupError(
                f"{int(lacking.sum())} sites are not in the store, the first of them "
                f"{sites[int(lacking.argmax())]}"
            )
        ref = _reference_bases(sites, genome)
        numbers = formulas.on_masked_scale(formulas.site_logits(stored), ref, constant)
        values = site_values(numbers, ref, model.kind)
        wrong = ~np.isfinite(list(values.values())).all(axis=0)
        if wrong.any():
            raise LookupError(
                f"{int(wrong.sum())} sites in the store have no finite scores, the first of them "
                f"{sites[int(wrong.argmax())]}"
            )
        runs = [(contig, genome[contig].length, count) for contig, count in sites.contigs]
        spool.add_several(runs, sites.positions, values)
        for name, column in values.items():
            low, high = extremes.get(name, (np.inf, -np.inf))
            extremes[name] = (min(low, float(column.min())), max(high, float(column.max())))
    return extremes


def _stored(sites: Sites, genome: Genome, store: SiteSource, key: str) -> pl.DataFrame:
    """Return the logits at sites, a row each, null where the store has none."""
    wanted = pl.DataFrame({"pos": sites.positions})
    if len(sites.contigs) == 1:
        digest = genome[sites.contigs[0][0]].stored_as
        stored = store.sites_at(key, digest, sites.positions)
        if stored.height == wanted.height:
            return stored
        return wanted.join(stored, on="pos", how="left", maintain_order="left")
    digests = pl.Series([genome[contig].stored_as for contig, _ in sites.contigs])
    counts = [count for _, count in sites.contigs]
    wanted = wanted.with_columns(contig=digests.gather(np.repeat(np.arange(len(counts)), counts)))
    stored = store.rows_of(key, KINDS["sites"], wanted.unique())
    return wanted.join(stored, on=["contig", "pos"], how="left", maintain_order="left")


def _reference_bases(sites: Sites, genome: Genome) -> NDArray[Any]:
    """Return the index 0…3 of the reference's base at each site."""
    letters = []
    at = 0
    for contig, count in sites.contigs:
        positions = sites.positions[at : at + count].astype(np.int64)
        letters.append(genome.sequence(contig)[positions - 1])
        at += count
    return formulas.base_index(np.concatenate(letters))


def draw_tracks(
    variants: Sequence[Path],
    genome: Genome,
    store: SiteSource,
    model: StoredModel,
    folder: Path,
    processes: int = 1,
    constant: float = 0.0,
) -> dict[str, Any]:
    """Write the bigWigs of one model into `folder` and return what they hold.

    A bigWig cannot be empty: without any SNV no file is written, and those of an earlier run are
    removed. No old file is touched before all new ones are complete.

    Parameters
    ----------
    variants : sequence of Path
        `variants.parquet` of cohorts; the tracks show every site that has an SNV in any of them.
    model : StoredModel
        Key in the store and kind of score.
    processes : int
        Files that are written at a time.
    constant : float
        What brings dense scores to the scale of masked ones, nats; 0 of others.

    Returns
    -------
    dict
        `sites`; `contigs`, name → sites; `first`, the first stretch of neighbouring sites
        (contig, and start and end, 0-based, half-open), or None; `tracks`, name → file, unit,
        meaning, min, max and low, below which 1 % of the values lie; where high scores are
        harmful also high, above which 1 % lie.

    Raises
    ------
    LookupError, UserError
        As `spool_values` and `bigwig.write_bigwigs`.
    """
    work = folder / ".drawing"
    shutil.rmtree(work, ignore_errors=True)  # of a run that was killed
    work.mkdir(parents=True)
    try:
        tracks = tracks_of(model.kind)
        names = [track.name for track in tracks]
        with Spool(work, names) as spool:
            extremes = spool_values(variants, genome, store, model, spool, constant)
        files = write_bigwigs(spool, processes) if spool.count else {}
        for name in names:
            path = folder / f"{name}.bw"
            if name in files:
                with atomic_path(path) as temporary:
                    files[name].replace(temporary)
            else:
                path.unlink(missing_ok=True)
        return {
            "sites": spool.count,
            "contigs": {section.contig: section.count for section in spool.sections},
            "first": _first_stretch(spool),
            "tracks": {
                track.name: _described(track, spool, extremes[track.name], model.kind)
                for track in tracks
                if track.name in files
            },
        }
    finally:
        shutil.rmtree(work)


def _described(
    track: Track, spool: Spool, extremes: tuple[float, float], kind: ScoreKind
) -> dict[str, Any]:
    """Return what tracks.json says of a track."""
    sample = spool.sample(track.name, _SAMPLE)
    described = {
        "file": f"{track.name}.bw",
        "unit": track.unit,
        "meaning": track.meaning,
        "min": extremes[0],
        "max": extremes[1],
        "low": float(np.quantile(sample, LOW)),
    }
    if kind.worst_first:
        described["high"] = float(np.quantile(sample, 1 - LOW))
    return described


def _first_stretch(spool: Spool) -> dict[str, Any] | None:
    """Return where a browser may open: the first sites that are neighbours, 200 at most."""
    if not spool.count:
        return None
    section = spool.sections[0]
    count = min(section.count, 200)
    positions = np.fromfile(spool.folder / "positions.spool", "<u4", count).astype(np.int64)
    gaps = np.flatnonzero(np.diff(positions) != 1)
    last = positions[gaps[0] if len(gaps) else -1]
    return {"contig": section.contig, "start": int(positions[0]) - 1, "end": int(last)}
