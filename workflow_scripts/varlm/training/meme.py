"""Motifs of a MEME file: minimal MEME format, version 4 or 5, letter-probability matrices.

https://meme-suite.org/meme/doc/meme-format.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.files.text import decoded_lines
from varlm.genome.bases import BASES

Line = tuple[int, str]  # 1-based number, text

_VERSION = re.compile(r"MEME version\s+(\d+)")
_WIDTH = re.compile(r"\bw=\s*(\d+)")
_MATRIX = "letter-probability matrix"
_SLACK = 0.01  # by which the four probabilities of a position may miss 1


@dataclass(frozen=True)
class Motif:
    """A motif.

    Attributes
    ----------
    name : str
        Its identifier.
    other_name : str or None
        Its alternative name.
    matrix : float64, shape (width, 4)
        Probability of A, C, G, T at each position.
    """

    name: str
    other_name: str | None
    matrix: NDArray[np.float64]

    @property
    def consensus(self) -> str:
        """The likeliest base of each position, the first in the alphabet of several."""
        return "".join(BASES[code] for code in self.matrix.argmax(1))


def read_motifs(path: Path) -> list[Motif]:
    """Read the motifs of a MEME file, in its order.

    Raises
    ------
    UserError
        Naming the line, if this is no MEME file of version 4 or later, its alphabet is not that of
        DNA, or a motif is there twice or without a matrix of probabilities.
    """
    text = decoded_lines(path, "elements.motifs must name a MEME file")
    lines = [(number, line.strip()) for number, line in text if line.strip()]
    starts = [i for i, (_, line) in enumerate(lines) if line.split()[0] == "MOTIF"]
    _check_head(path, lines[: starts[0]] if starts else lines)
    if not starts:
        raise UserError(f"{path}: no motif; expected lines of the word MOTIF and a name")
    motifs: dict[str, Motif] = {}
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        number, line = lines[start]
        _, *names = line.split()
        if not names:
            raise _error(path, number, "found MOTIF alone; expected a name after it")
        if names[0] in motifs:
            raise _error(path, number, f"the motif {names[0]} is there twice; keep one")
        matrix = _matrix(path, names[0], lines[start:end])
        motifs[names[0]] = Motif(names[0], names[1] if len(names) > 1 else None, matrix)
    return list(motifs.values())


def _error(path: Path, number: int, what: str) -> UserError:
    return UserError(f"{path}, line {number}: {what}")


def _check_head(path: Path, head: list[Line]) -> None:
    """Raise `UserError` unless what is before the motifs is of a MEME file of DNA.

    The output of the program meme has lines of stars before its version.
    """
    version = next((match for _, line in head if (match := _VERSION.match(line))), None)
    if version is None or int(version[1]) < 4:
        number, line = head[0] if head else (1, "")
        raise _error(
            path,
            number,
            f"found {version[0] if version else line[:40]!r}; expected 'MEME version 4' or 5, as a "
            "file of motifs in (minimal) MEME format begins",
        )
    for number, line in head:
        if line.startswith("ALPHABET"):
            alphabet = line.removeprefix("ALPHABET").lstrip("= ").rstrip()
            if alphabet != BASES and not alphabet.startswith('"DNA"'):
                raise _error(path, number, f"found the alphabet {alphabet}; expected {BASES}")


def _matrix(path: Path, name: str, lines: list[Line]) -> NDArray[np.float64]:
    """Return the matrix of a motif, whose lines these are."""
    at = next((i for i, (_, line) in enumerate(lines) if line.startswith(_MATRIX)), None)
    if at is None:
        raise _error(path, lines[0][0], f"the motif {name} has no {_MATRIX}")
    number, line = lines[at]
    width = _WIDTH.search(line)
    if width is None or int(width[1]) < 1:
        raise _error(path, number, f"found {line[:60]!r}; expected w= and the motif's width")
    rows = lines[at + 1 : at + 1 + int(width[1])]
    if len(rows) < int(width[1]):
        raise _error(path, rows[-1][0] if rows else number, f"the matrix of {name} is cut off")
    return np.array([_probabilities(path, name, row) for row in rows])


def _probabilities(path: Path, name: str, row: Line) -> list[float]:
    number, line = row
    try:
        p = [float(word) for word in line.split()]
    except ValueError:
        p = []
    if len(p) == len(BASES) and min(p) >= 0 and abs(sum(p) - 1) <= _SLACK:
        return p
    raise _error(
        path,
        number,
        f"found {line[:60]!r} in the matrix of {name}; expected four probabilities, of {BASES}, "
        "that add up to 1, one line a position",
    )
