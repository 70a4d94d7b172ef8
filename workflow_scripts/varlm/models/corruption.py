"""How the masked bases of a training were hidden: what unmasked answers differ by from masked ones.

Of the bases that BERT's training predicts, most are masked, some are replaced by a random symbol
and some are kept. So a model that sees a base learns P(true | seen, context) ∝ P(true | context) ×
P(seen | true), and seeing one speaks for it by the same factor everywhere: of an ideal model, the
unmasked log-ratio of any other base to it is the masked one less ln(1 + V · kept / random), for V
symbols that a random one is drawn from.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from pathlib import Path
from typing import Self

from varlm.files.json_record import JsonRecord
from varlm.run.checkpoint_folders import CORRUPTION


@dataclass(frozen=True, kw_only=True)
class Corruption(JsonRecord):
    """What becomes of the bases that a training predicts.

    Attributes
    ----------
    masked, random, kept : float
        Shares of them that are masked, replaced by a random symbol, and left as they are.
    symbols : int
        How many symbols the random one is drawn from, the true one among them.
    """

    MADE_BY = "train"

    masked: float
    random: float
    kept: float
    symbols: int

    @classmethod
    def of(cls, folder: Path) -> Self | None:
        """Return that of a checkpoint; None where its folder does not say.

        Raises
        ------
        UserError
            As `JsonRecord.read`.
        """
        path = folder / CORRUPTION
        return cls.read(path) if path.is_file() else None

    @property
    def constant(self) -> float | None:
        """By how much masked LLRs are above unmasked ones, nats; None where that is no constant.

        Without random symbols a base that is seen and to be predicted is always the true one.
        """
        if self.random <= 0:
            return None
        return log(1 + self.symbols * self.kept / self.random)
