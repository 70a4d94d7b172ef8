"""What a probe's config says of its rows: label, length, positions, folds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from varlm.evaluation.labels import LabelSpec, as_text
from varlm.probing.parts import Positions


@dataclass(frozen=True)
class ProbeLabel(LabelSpec):
    """A probe's label; messages name the key `probe.NAME`."""

    @property
    def where(self) -> str:
        """The config key, for messages."""
        return f"probe.{self.name}"


@dataclass(frozen=True)
class ProbeSpec:
    """What says which rows are embedded, and what of them.

    Attributes
    ----------
    label : ProbeLabel
    length : int or None
        bp; None: the whole row, 128 around a variant.
    positions : str
        What is stored: all, mean or centre.
    folds : str
        A column of the table.
    flanks : bool
        Whether models read the genome around a row.
    max_ref_mismatch : float
        Share of variants whose REF may be wrong.
    """

    label: ProbeLabel
    length: int | None = None
    positions: Positions = "all"
    folds: str = "chrom"
    flanks: bool = True
    max_ref_mismatch: float = 0.1

    @classmethod
    def parse(cls, name: str, settings: Mapping[str, Any], max_ref_mismatch: float) -> ProbeSpec:
        """Return what `varlm.run.probes.embed_settings` wrote of the probe `name`."""
        label = ProbeLabel(
            name,
            settings["label"],
            positive=tuple(map(as_text, settings["positive"])),
            negative=tuple(map(as_text, settings["negative"])),
            absolute=settings["absolute"],
        )
        own = {key: settings[key] for key in ("length", "positions", "folds")}
        flanks = settings.get("flanks", True)
        return cls(label, **own, flanks=flanks, max_ref_mismatch=max_ref_mismatch)

    @property
    def where(self) -> str:
        """The config key, for messages."""
        return self.label.where
