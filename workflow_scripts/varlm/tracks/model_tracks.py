"""What a model's tracks are called, and how they are shown."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from varlm.errors import UserError
from varlm.files.json_record import JsonRecord
from varlm.tracks.sites import WORST_LLR

MODEL_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")

# The colours of a sequence logo, as in UCSC's and songlab's.
COLOURS = {"A": (0, 128, 0), "C": (0, 0, 255), "G": (255, 166, 0), "T": (255, 0, 0)}
LLR_COLOUR, ENTROPY_COLOUR = (158, 54, 38), (70, 90, 120)


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Neighbouring sites of a contig; `start` and `end` are 0-based, half-open."""

    contig: str
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class DrawnTrack:
    """A bigWig: its name, what its values are, and their extremes.

    Below `low` lie 1 % of the values.
    """

    file: str
    unit: str
    meaning: str
    min: float
    max: float
    low: float


@dataclass(frozen=True, kw_only=True)
class DrawnTracks(JsonRecord):
    """What tracks.json says, beside a model's bigWigs.

    Attributes
    ----------
    varlm : str
        The version that drew them.
    model, path, revision, key, window, strands, precision
        As of `varlm.models.prepared.PreparedModel`.
    sites : int
    contigs : dict
        Contig → sites.
    first : Stretch or None
        Where a browser may open; None where there is no site.
    tracks : dict
        Name (`varlm.tracks.sites.TRACKS`) → bigWig; empty where there is no site.
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
    sites: int
    contigs: dict[str, int]
    first: Stretch | None
    tracks: dict[str, DrawnTrack]


@dataclass(frozen=True)
class ModelTracks:
    """The tracks of one model, as its `tracks.json` tells: name, limits, where they begin.

    Attributes
    ----------
    name : str
        Of the model, and of the folder with its bigWigs.
    llr_limits : tuple of float
        What the display of the lowest LLR shows, nats.
    first : Stretch
        The first sites.
    """

    name: str
    llr_limits: tuple[float, float]
    first: Stretch

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
        llr = drawn.tracks[WORST_LLR]
        return cls(name, display_limits(llr.low, llr.max), drawn.first)

    def file(self, track: str) -> str:
        """Return the path of a track's bigWig, relative to the folder of all tracks."""
        return f"{self.name}/{track}.bw"

    @property
    def locus(self) -> str:
        """Return where the first sites are, 1-based: contig:start-end."""
        return f"{self.first.contig}:{self.first.start + 1}-{self.first.end}"


def display_limits(low: float, highest: float) -> tuple[float, float]:
    """Return limits that keep zero in view, and a few far values from making all others flat."""
    below = min(0.0, math.floor(low * 10) / 10)
    above = max(0.0, math.ceil(min(highest, max(-low, 1.0)) * 10) / 10)
    return (below, above) if below < above else (-1.0, 0.0)


def track_id(kind: str, model: str) -> str:
    """Return a track's unique name; `kind` has no underscore, so that no two can be the same."""
    return f"{kind}_{model}"
