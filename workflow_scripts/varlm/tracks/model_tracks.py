"""What a model's tracks are called, and how they are shown."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from varlm.errors import UserError
from varlm.tracks.sites import WORST_LLR

MODEL_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")

# The colours of a sequence logo, as in UCSC's and songlab's.
COLOURS = {"A": (0, 128, 0), "C": (0, 0, 255), "G": (255, 166, 0), "T": (255, 0, 0)}
LLR_COLOUR, ENTROPY_COLOUR = (158, 54, 38), (70, 90, 120)


@dataclass(frozen=True)
class ModelTracks:
    """The tracks of one model, as its `tracks.json` tells: name, limits, where they begin.

    Attributes
    ----------
    name : str
        Of the model, and of the folder with its bigWigs.
    llr_limits : tuple of float
        What the display of the lowest LLR shows, nats.
    first : dict
        `contig`, `start`, `end` (0-based, half-open) of the first sites.
    """

    name: str
    llr_limits: tuple[float, float]
    first: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path, name: str) -> ModelTracks | None:
        """Return the tracks in `folder/name`; None where there is no site.

        Raises
        ------
        UserError
            If the name is no model's name, or a file is missing.
        """
        if not MODEL_NAME.fullmatch(name):
            raise UserError(
                f"model {name!r}: a name of letters, digits and _ is expected, a letter first; "
                "rename it in the config"
            )
        path = folder / name / "tracks.json"
        try:
            described = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(f"{path}: not found; run the step draw_tracks first") from None
        if not described["sites"]:
            return None
        for track in described["tracks"].values():
            if not (folder / name / track["file"]).exists():
                raise UserError(
                    f"{folder / name / track['file']}: not found, but tracks.json beside it names "
                    "it; delete the folder and run the workflow again"
                )
        llr = described["tracks"][WORST_LLR]
        return cls(name, display_limits(llr["low"], llr["max"]), described["first"])

    def file(self, track: str) -> str:
        """Return the path of a track's bigWig, relative to the folder of all tracks."""
        return f"{self.name}/{track}.bw"

    @property
    def locus(self) -> str:
        """Return where the first sites are, 1-based: contig:start-end."""
        return f"{self.first['contig']}:{self.first['start'] + 1}-{self.first['end']}"


def display_limits(low: float, highest: float) -> tuple[float, float]:
    """Return limits that keep zero in view, and a few far values from making all others flat."""
    below = min(0.0, math.floor(low * 10) / 10)
    above = max(0.0, math.ceil(min(highest, max(-low, 1.0)) * 10) / 10)
    return (below, above) if below < above else (-1.0, 0.0)


def track_id(kind: str, model: str) -> str:
    """Return a track's unique name; `kind` has no underscore, so that no two can be the same."""
    return f"{kind}_{model}"
