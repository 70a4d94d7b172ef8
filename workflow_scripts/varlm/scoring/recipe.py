"""How a model's windows become numbers: what of a prepared model counts while scoring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Self

from varlm.genome.tiles import Tiles
from varlm.models.prepared import PreparedModel
from varlm.tables.score_kinds import SCORE_KINDS, ScoreKind

_MASKED = SCORE_KINDS["masked"]


@dataclass(frozen=True)
class Recipe:
    """How to score with a model.

    Attributes
    ----------
    kind : ScoreKind
    options : mapping
        Of the kind of score and the family: option → value, as text.
    centre : str
        Where the site lies in an even window of W bp: right (index W//2) or left (W//2 − 1).
    clipped : bool
        Whether what is past a contig's end is left out of a window; else it is padded.
    tiles : Tiles or None
        Of which all positions are answered at once; None: each site has a window of its own.
    """

    kind: ScoreKind = _MASKED
    options: Mapping[str, str] = field(default_factory=dict)
    centre: Literal["right", "left"] = "right"
    clipped: bool = False
    tiles: Tiles | None = None

    @classmethod
    def of(cls, model: PreparedModel) -> Self:
        """Return that of a prepared model."""
        family = model.known_as
        return cls(
            model.kind,
            model.options or {},
            family.centre,
            family.ends == "clipped",
            Tiles.within(model.window, family.tile) if model.kind.name == "dense" else None,
        )

    def before(self, window: int) -> int:
        """Return how many bases of a window lie on the left of its site: the site's index."""
        return window // 2 if self.centre == "right" else (window - 1) // 2

    @property
    def passes(self) -> int:
        """Windows of a site that are in memory at once, for each strand."""
        return 4 if self.kind.name in _COMPARED else 1

    @property
    def work(self) -> float:
        """Windows that a site takes the work of, for each strand.

        Of a likelihood what is before the site is read once, and what comes after it four times.
        """
        if self.tiles is not None:
            return 1 / self.tiles.size
        return 2.5 if self.kind.name in _CAUSAL else self.passes


_CAUSAL = ("likelihood", "mean_likelihood")
_COMPARED = ("cosine", "euclidean", "inner_product", "influence", "divergence")
