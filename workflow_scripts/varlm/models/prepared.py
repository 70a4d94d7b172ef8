"""A prepared model: a checkpoint, how it is scored with, and its key in the store. No torch here.

`prepare_model` writes it as models/{model}.json; every later step knows the model by that file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self, get_args

from varlm.errors import UserError
from varlm.files.json_record import JsonRecord, absent_if_none
from varlm.run.model_families import FAMILIES, Family
from varlm.tables.score_kinds import SCORE_KINDS, ScoreKind
from varlm.tables.score_kinds import Strands as Strands

# Raise this when the code changes a score by more than rounding: every store row is then stale.
SCORING_VERSION = 1

Precision = Literal["auto", "float32", "tf32", "bfloat16", "float16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


@dataclass(frozen=True, kw_only=True)
class PreparedModel(JsonRecord):
    """What models/{model}.json says.

    Any of its keys may change a score, so that a file with one that is not known is refused.

    Attributes
    ----------
    name : str
        In the config, and in the names of columns.
    path : str
        Checkpoint folder or hub id, as in the config.
    revision : str or None
        Commit of a hub id.
    folder : Path
        Where the files lie on this machine.
    model_type : str
        As in config.json.
    files : dict
        File name → SHA-256 (hexadecimal).
    window : int
        bp.
    strands : str
        `both`, `forward`, or `transcript`: both are scored, and the annotation says which counts.
    precision : str
        One of `PRECISIONS`.
    scoring_version : int
        `SCORING_VERSION` of the code that made the key.
    key : str
        Of the store's rows (`varlm.models.checkpoint.model_key`).
    family : str or None
        A key of `varlm.run.model_families.FAMILIES`; None: that of `model_type`, of the four
        families that there were before.
    score : str or None
        A key of `varlm.tables.score_kinds.SCORE_KINDS`; None: masked.
    options : dict or None
        Option of the family or the kind of score → its value, as text.
    """

    MADE_BY = "prepare_model"
    EVERY_KEY_COUNTS = True

    name: str
    path: str
    revision: str | None
    folder: Path
    model_type: str
    files: dict[str, str]
    window: int
    strands: Strands
    precision: Precision
    scoring_version: int
    key: str
    family: str | None = absent_if_none()
    score: str | None = absent_if_none()
    options: dict[str, str] | None = absent_if_none()  # noqa: RUF009

    @property
    def kind(self) -> ScoreKind:
        """The kind of its score; without alleles where the family's authors score none."""
        kind = replace(SCORE_KINDS[self.score or "masked"], strands=self.strands)
        return kind if self.known_as.alleles else kind.of_bases()

    @property
    def known_as(self) -> Family:
        """Its family."""
        if self.family is not None:
            return FAMILIES[self.family]
        return next(row for row in FAMILIES.values() if self.model_type in row.model_types)

    def option(self, name: str) -> str | None:
        """Return the value of an option, or None where it has none."""
        return (self.options or {}).get(name)

    @classmethod
    def from_json(cls, document: object, path: Path) -> Self:
        """Return what JSON values say, if this code's scores belong under that key.

        Raises
        ------
        UserError
            As in `JsonRecord.read`, or if code of another `SCORING_VERSION` made the key.
        """
        model = super().from_json(document, path)
        for value, known in ((model.family, FAMILIES), (model.score, SCORE_KINDS)):
            if value is not None and value not in known:
                raise UserError(
                    f"{path}: found {value!r}, expected one of {', '.join(known)}; {cls._remedy()}"
                )
        if model.scoring_version != SCORING_VERSION:
            raise UserError(
                f"{path}: scoring_version is {model.scoring_version}, but this version of varlm "
                f"scores by {SCORING_VERSION}: its scores would be stored as the "
                f"other's; {cls._remedy()}"
            )
        return model

    def provenance(self) -> dict[str, Any]:
        """Return what tables and tracks say of the model that their scores are of."""
        kind = {"family": self.family, "score": self.score, "options": self.options}
        return {
            "path": self.path,
            "revision": self.revision,
            "key": self.key,
            "window": self.window,
            "strands": self.strands,
            "precision": self.precision,
            **{name: value for name, value in kind.items() if value is not None},
        }
