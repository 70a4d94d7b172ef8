"""corpus.json: what a training's corpus is made of, and how much of it there is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

from varlm.errors import UserError
from varlm.files.whole import atomic_path


@dataclass(frozen=True)
class GenomeCounts:
    """A genome of the corpus: file names without folders, contigs and bases; its group, if any."""

    name: str
    fasta: str
    annotation: str | None
    contigs: int
    bases: int
    group: str | None = None


@dataclass(frozen=True)
class SetCounts:
    """What a set (`varlm.training.corpus.SETS`) holds.

    Attributes
    ----------
    contigs : int
    bases : dict
        Region class → bases, of all contigs of the set.
    windows : int
    drawn, genic : int
        Windows with a weight, and those of them that are genic.
    weight : float
        Of all windows together: their number without what is there more than once.
    left_out : dict
        Reason → windows.
    """

    contigs: int
    bases: dict[str, int]
    windows: int
    drawn: int
    genic: int
    weight: float
    left_out: dict[str, int]


@dataclass(frozen=True)
class CorpusDescription:
    """The content of corpus.json, its keys in the file's order.

    Those that have a default are written where they have another value: earlier files lack them.

    Attributes
    ----------
    digest : str
        SHA-256 of the bases and the windows: two corpora with the same are the same.
    bases : int
    window, stride, promoter : int
        bp.
    genic_share, deduplicate, exclude_similar
        See `varlm.training.windows.Layout`.
    held_out, validation : sequence of str
        Contigs, as the config spells them.
    genomes : sequence of GenomeCounts
    sets : dict
        Set → `SetCounts`.
    shares, families
        See `varlm.training.windows.Layout`.
    """

    digest: str
    bases: int
    window: int
    stride: int
    genic_share: float | None
    deduplicate: bool
    exclude_similar: bool
    promoter: int
    held_out: Sequence[str]
    validation: Sequence[str]
    genomes: Sequence[GenomeCounts]
    sets: Mapping[str, SetCounts]
    shares: Mapping[str, float] | None = None
    families: bool = False

    @classmethod
    def read(cls, path: Path) -> CorpusDescription:
        """Return what a corpus.json says.

        Raises
        ------
        UserError
            If it is missing, is no JSON, or has other keys.
        """
        if not path.is_file():
            raise UserError(f"{path}: not found; run the step prepare_training first")
        try:
            keys = json.loads(path.read_text(encoding="utf-8"))
            genomes = [GenomeCounts(**genome) for genome in keys.pop("genomes")]
            sets = {name: SetCounts(**counts) for name, counts in keys.pop("sets").items()}
            return cls(**keys, genomes=genomes, sets=sets)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UserError(
                f"{path}: not as the step prepare_training writes it ({error}); delete the folder "
                "and run the workflow again"
            ) from error

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        content = _written(self) | {"genomes": [_written(genome) for genome in self.genomes]}
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    @property
    def validates(self) -> bool:
        """Whether there are windows that can choose a checkpoint."""
        return self.sets["validation"].drawn > 0


def _written(counts: CorpusDescription | GenomeCounts) -> dict[str, Any]:
    """Return the keys that are written: all but those that have their default."""
    content = asdict(counts)
    defaults = {field.name: field.default for field in fields(counts)}
    return {
        key: value
        for key, value in content.items()
        if defaults[key] is MISSING or value != defaults[key]
    }
