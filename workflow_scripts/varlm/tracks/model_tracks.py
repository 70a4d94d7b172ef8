"""What a model's tracks are called, and how they are shown."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from varlm.errors import UserError
from varlm.files.json_record import JsonRecord, absent_if_none
from varlm.tables.score_kinds import SCORE_KINDS, ScoreKind
from varlm.tracks.sites import worst_name

MODEL_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")

# The colours of a sequence logo, as in UCSC's and songlab's.
COLOURS = {"A": (0, 128, 0), "C": (0, 0, 255), "G": (255, 166, 0), "T": (255, 0, 0)}
SCORE_COLOUR, ENTROPY_COLOUR = (158, 54, 38), (70, 90, 120)


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Neighbouring sites of a contig; `start` and `end` are 0-based, half-open."""

    contig: str
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class DrawnTrack:
    """A bigWig: its name, what its values are, and their extremes.

    Below `low` lie 1 % of the values, above `high`, which a model has whose high scores are
    harmful, another 1 %.
    """

    file: str
    unit: str
    meaning: str
    min: float
    max: float
    low: float
    high: float | None = absent_if_none()


@dataclass(frozen=True, kw_only=True)
class DrawnTracks(JsonRecord):
    """What tracks.json says, beside a model's bigWigs.

    Attributes
    ----------
    varlm : str
        The version that drew them.
    model, path, revision, key, window, strands, precision, family, score, options
        As of `varlm.models.prepared.PreparedModel`.
    sites : int
    contigs : dict
        Contig → sites.
    first : Stretch or None
        Where a browser may open; None where there is no site.
    tracks : dict
        Name (`varlm.tracks.sites.tracks_of`) → bigWig; empty where there is no site.
    """

    MADE_BY = "draw_tracks"
    TO_DELETE = "its folder"
    ASCII = False

    varlm: str
    model: str
    path: str
    revision: str | None
    key: str
    window: int
    strands: str
    precision: str
    family: str | None = absent_if_none()
    score: str | None = absent_if_none()
    options: dict[str, str] | None = absent_if_none()  # noqa: RUF009
    sites: int
    contigs: dict[str, int]
    first: Stretch | None
    tracks: dict[str, DrawnTrack]

    @property
    def kind(self) -> ScoreKind:
        """The kind of the model's score."""
        return SCORE_KINDS[self.score or "masked"]

    @classmethod
    def from_json(cls, document: object, path: Path) -> Self:
        """Return what JSON values say; errors as in `JsonRecord.read`, or an unknown kind."""
        drawn = super().from_json(document, path)
        if drawn.score is not None and drawn.score not in SCORE_KINDS:
            raise UserError(
                f"{path}: found {drawn.score!r}, expected one of {', '.join(SCORE_KINDS)}; "
                f"{cls._remedy()}"
            )
        return drawn


@dataclass(frozen=True)
class ModelTracks:
    """The tracks of one model, as its `tracks.json` tells: name, kind, limits, where they begin.

    Attributes
    ----------
    name : str
        Of the model, and of the folder with its bigWigs.
    limits : tuple of float
        What the display of the worst scores shows.
    first : Stretch
        The first sites.
    kind : ScoreKind
        Of the model's score.
    """

    name: str
    limits: tuple[float, float]
    first: Stretch
    kind: ScoreKind = SCORE_KINDS["masked"]

    @classmethod
    def read(cls, folder: Path, name: str) -> ModelTracks | None:
        """Return the tracks in `folder/name`; None where there is no site.

        Raises
        ------
        UserError
            If the name is no model's name, or a file is missing or damaged.
        """
        if not MODEL_NAME.fullmatch(name):
            raise UserError(
                f"model {name!r}: a name of letters, digits and _ is expected, a letter first; "
                "rename it in the config"
            )
        drawn = DrawnTracks.read(folder / name / "tracks.json")
        if drawn.first is None:
            return None
        for track in drawn.tracks.values():
            if not (folder / name / track.file).exists():
                raise UserError(
                    f"{folder / name / track.file}: not found, but tracks.json beside it names "
                    "it; delete the folder and run the workflow again"
                )
        worst = drawn.tracks.get(worst_name(drawn.kind))
        if worst is None:
            raise UserError(
                f"{folder / name / 'tracks.json'}: has no track {worst_name(drawn.kind)}; delete "
                "the folder and run the workflow again"
            )
        return cls(name, limits_of(worst, drawn.kind), drawn.first, drawn.kind)

    def file(self, track: str) -> str:
        """Return the path of a track's bigWig, relative to the folder of all tracks."""
        return f"{self.name}/{track}.bw"

    @property
    def worst(self) -> str:
        """The name of the track of a site's most harmful score."""
        return worst_name(self.kind)

    @property
    def score_id(self) -> str:
        """What that track's unique name begins with (`track_id`)."""
        return self.kind.column.replace("_", "")

    @property
    def score_name(self) -> str:
        """What that track shows, for people: its end and the kind of score."""
        return f"{'highest' if self.kind.worst_first else 'lowest'} {self.kind.title}"

    @property
    def locus(self) -> str:
        """Return where the first sites are, 1-based: contig:start-end."""
        return f"{self.first.contig}:{self.first.start + 1}-{self.first.end}"


_SMALLEST = 1e-9  # a range of scores that a display tells from none


def limits_of(worst: DrawnTrack, kind: ScoreKind) -> tuple[float, float]:
    """Return what a display of the worst scores shows: the harmful end, but for a few far values.

    Zero, where the two alleles are alike, stays in view; a score that is no difference and no
    distance has no such value.
    """
    if kind.is_llr:
        return display_limits(worst.low, worst.max)
    low = worst.low if kind.harmful == "low" else worst.min
    high = worst.high if worst.high is not None else worst.max
    if kind.difference:
        low, high = min(low, 0.0), max(high, 0.0)
    # Not of what is nearly nothing: a step of 0 divides by it.
    step = 10.0 ** math.floor(math.log10(max((high - low) or abs(high) or 1.0, _SMALLEST))) / 10
    below, above = math.floor(low / step) * step, math.ceil(high / step) * step
    return (below, above) if below < above else (below, below + step)


def display_limits(low: float, highest: float) -> tuple[float, float]:
    """Return limits that keep zero in view, and a few far values from making all others flat.

    Of log-ratios, nats.
    """
    below = min(0.0, math.floor(low * 10) / 10)
    above = max(0.0, math.ceil(min(highest, max(-low, 1.0)) * 10) / 10)
    return (below, above) if below < above else (-1.0, 0.0)


def track_id(kind: str, model: str) -> str:
    """Return a track's unique name; `kind` has no underscore, so that no two can be the same."""
    return f"{kind}_{model}"
