"""Values of tracks on disk, between the store and the bigWigs that are made of them.

Flat files of 4 bytes a value, so that one reading of the store serves all tracks and contigs can
come in any order: the index of a bigWig wants them sorted by the bytes of their names.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 100_000  # values in memory at a time, for each track being written

POS, VALUE = np.dtype("<u4"), np.dtype("<f4")


@dataclass(frozen=True)
class Section:
    """A contig's part of a spool: name, length in bp, number of its first value, of its values."""

    contig: str
    length: int
    first: int
    count: int


class Spool:
    """The values of some tracks at the same positions, on disk until bigWigs are made of them.

    A context manager while it is written; the folder must exist, and belongs to the caller.

    Parameters
    ----------
    folder : Path
    tracks : iterable of str
        Names of the tracks; also the names of their files.
    """

    def __init__(self, folder: Path, tracks: Iterable[str]):
        self.folder = folder
        self.tracks = list(tracks)
        self.sections: list[Section] = []
        self.count = 0  # positions
        self._files: dict[str, Any] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Spool:
        for name in ("positions", *self.tracks):
            file = (self.folder / f"{name}.spool").open("wb")
            self._files[name] = self._stack.enter_context(file)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()
        if kind is None:
            # UCSC's readers look contigs up in a tree that is sorted by the bytes of the names,
            # and values in one sorted by the contigs' numbers: both hold in this order.
            ordered = sorted(self.sections, key=lambda section: section.contig.encode())
            text = json.dumps([vars(section) for section in ordered])
            (self.folder / "sections.json").write_text(text)

    def add(
        self,
        contig: str,
        length: int,
        positions: NDArray[np.uint32],
        values: Mapping[str, NDArray[np.float32]],
    ) -> None:
        """Append a contig's next positions, and each track's values there.

        Parameters
        ----------
        contig, length : str, int
            All pieces of a contig follow each other; its length in bp.
        positions : shape (n,)
            1-based, each once, sorted within the contig.
        values : track → shape (n,)
        """
        self.add_several([(contig, length, len(positions))], positions, values)

    def add_several(
        self,
        runs: Iterable[tuple[str, int, int]],
        positions: NDArray[np.uint32],
        values: Mapping[str, NDArray[np.float32]],
    ) -> None:
        """Append the next positions of contigs that follow each other; as `add`.

        Parameters
        ----------
        runs : iterable of (contig, length in bp, count)
            Whose the positions are.
        """
        for contig, length, count in runs:
            if self.sections and self.sections[-1].contig == contig:
                last = self.sections.pop()
                self.sections.append(Section(contig, length, last.first, last.count + count))
            else:
                self.sections.append(Section(contig, length, self.count, count))
            self.count += count
        self._files["positions"].write(positions.astype(POS).data)
        for track in self.tracks:
            self._files[track].write(values[track].astype(VALUE).data)

    def sample(self, track: str, size: int) -> NDArray[np.float32]:
        """Return at most `size` of a track's values, at even distances, shape (n,)."""
        step = -(-self.count // size)
        pieces = []
        with (self.folder / f"{track}.spool").open("rb") as file:
            at = 0  # of the next value to take, within the rest of the file
            while text := file.read(BLOCK * VALUE.itemsize):
                values = np.frombuffer(text, VALUE)
                pieces.append(values[at::step])
                at = (at - len(values)) % step
        return np.concatenate(pieces)


def sections_of(folder: Path) -> list[Section]:
    """Return the contigs of a finished spool, in the order of a bigWig."""
    return [Section(**entry) for entry in json.loads((folder / "sections.json").read_text())]


def blocks_of(
    folder: Path, track: str, sections: Sequence[Section] | None = None
) -> Iterator[tuple[str, NDArray[np.uint32], NDArray[np.float32]]]:
    """Yield (contig, positions, values) of all or some contigs, `BLOCK` of them at most."""
    with (
        (folder / "positions.spool").open("rb") as positions,
        (folder / f"{track}.spool").open("rb") as values,
    ):
        for section in sections_of(folder) if sections is None else sections:
            for start in range(0, section.count, BLOCK):
                at = (section.first + start) * POS.itemsize
                positions.seek(at)
                values.seek(at)
                count = min(BLOCK, section.count - start)
                pos = np.frombuffer(positions.read(count * 4), POS)
                yield section.contig, pos, np.frombuffer(values.read(count * 4), VALUE)


def mixed_blocks(
    folder: Path, track: str
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.float32]]]:
    """Yield (numbers of contigs, positions, values) in the order of the file, `BLOCK` at most.

    A block may hold thousands of contigs.
    """
    sections = sections_of(folder)
    first = np.array([section.first for section in sections], np.int64)
    count = np.array([section.count for section in sections], np.int64)
    ends = count.cumsum()
    moved = first - (ends - count)  # from a value's place in the file to that in the spool
    positions = np.memmap(folder / "positions.spool", POS, mode="r")
    values = np.memmap(folder / f"{track}.spool", VALUE, mode="r")
    for start in range(0, int(ends[-1]), BLOCK):
        place = np.arange(start, min(start + BLOCK, int(ends[-1])))
        number = np.searchsorted(ends, place, side="right")
        index = place + moved[number]
        yield number, positions[index], values[index]
