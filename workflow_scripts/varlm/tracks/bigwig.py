"""bigWig files of values at single positions, made by pybigtools in child processes.

What pybigtools 0.3.0 gets wrong, and why it is used this way (all of it tried):

- its `write` returns as if all were well after an error of the iterator, an entry out of order,
  past the contig's end or on an unknown contig, and leaves a file without a header. So every file
  is read back and compared with what it was made of, value by value.
- on a full disk it panics, with an exception that is no `Exception`, and does not say why;
- it keeps about 8 kB for each contig until the process ends, and never gives it back;
- its zoom levels are wrong wherever values have gaps between them: `zoom_levels` replaces
  them. They pass through TMPDIR, which may be another, smaller disk: here, the spool's folder.

It is twice as fast in its own process as beside other threads of one. The values wait in a spool,
flat files of 4 bytes a value, so that one reading of the store serves all tracks and contigs can
come in any order: the index of a bigWig wants them sorted by the bytes of their names.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import chain, islice, repeat
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pybigtools
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.tracks.zoom_levels import replace_summaries, summarise

BLOCK = 100_000  # values in memory at a time, for each track being written

_POS, _VALUE = np.dtype("<u4"), np.dtype("<f4")
_ENTRY = np.dtype([("start", "<u4"), ("end", "<u4"), ("value", "<f4")])
_PACKAGES = str(Path(__file__).resolve().parents[2])
_CHILD = (
    "import sys\n"
    "sys.path.insert(0, sys.argv[1])\n"
    "from varlm.tracks.bigwig import fault, write_spooled\n"
    "write_spooled(*sys.argv[2:])\n"
    "sys.exit(fault(*sys.argv[2:]))\n"
)


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
            text = json.dumps([asdict(section) for section in ordered])
            (self.folder / "sections.json").write_text(text)

    @property
    def count(self) -> int:
        """Return the number of positions."""
        return sum(section.count for section in self.sections)

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
        if not self.sections or self.sections[-1].contig != contig:
            self.sections.append(Section(contig, length, self.count, 0))
        last = self.sections[-1]
        self.sections[-1] = Section(contig, length, last.first, last.count + len(positions))
        self._files["positions"].write(positions.astype(_POS).data)
        for track in self.tracks:
            self._files[track].write(values[track].astype(_VALUE).data)

    def sample(self, track: str, size: int) -> NDArray[np.float32]:
        """Return at most `size` of a track's values, at even distances, shape (n,)."""
        step = -(-self.count // size)
        pieces = []
        with (self.folder / f"{track}.spool").open("rb") as file:
            at = 0  # of the next value to take, within the rest of the file
            while text := file.read(BLOCK * _VALUE.itemsize):
                values = np.frombuffer(text, _VALUE)
                pieces.append(values[at::step])
                at = (at - len(values)) % step
        return np.concatenate(pieces)


def write_bigwigs(spool: Spool, processes: int = 1) -> dict[str, Path]:
    """Make a bigWig of each track of a spool, read it back, and return where it lies.

    Parameters
    ----------
    spool : Spool
        Written to its end, with at least one position: a bigWig cannot be empty.
    processes : int
        Tracks that are written at a time.

    Returns
    -------
    dict
        Track → its file, in the spool's folder.

    Raises
    ------
    UserError
        If a file does not hold exactly the values of the spool: most often, the disk is full.
    """
    if not spool.count:
        raise ValueError("a bigWig must hold at least one value")

    def write(track: str) -> Path:
        path = spool.folder / f"{track}.bw"
        arguments = [_PACKAGES, str(spool.folder), track, str(path)]
        child = subprocess.run(
            [sys.executable, "-P", "-c", _CHILD, *arguments],
            env={**os.environ, "TMPDIR": str(spool.folder), "RUST_BACKTRACE": "0"},
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if child.returncode:
            said = [line for line in child.stderr.splitlines() if line and line[0] != " "]
            free = shutil.disk_usage(spool.folder).free // 10**6
            need = spool.count * 20 // 10**6 + 1
            raise UserError(
                f"{path.name} in {spool.folder.parent}: not written as it should be "
                f"({'; '.join(said[-3:]) or f'exit status {child.returncode}'}); most often the "
                f"disk is full: {free} MB are free there now, about {need} MB are needed for each "
                "track; free some space and run again"
            )
        return path

    with ThreadPoolExecutor(processes) as pool:
        return dict(zip(spool.tracks, pool.map(write, spool.tracks), strict=True))


def write_spooled(folder: str, track: str, path: str) -> None:
    """Write the bigWig of one track of a finished spool; runs in a process of its own.

    It may fail without an exception (see above): `fault` tells.
    """
    lengths = {section.contig: section.length for section in _sections(Path(folder))}
    entries = chain.from_iterable(
        zip(repeat(contig), (pos - 1).tolist(), pos.tolist(), values.tolist(), strict=False)
        for contig, pos, values in _blocks(Path(folder), track)
    )
    pybigtools.open(path, "w").write(lengths, entries)
    numbers = {contig: number for number, contig in enumerate(lengths)}
    blocks = _blocks(Path(folder), track)
    replace_summaries(
        Path(path), summarise((numbers[contig], pos, values) for contig, pos, values in blocks)
    )


def _sections(folder: Path) -> list[Section]:
    return [Section(**entry) for entry in json.loads((folder / "sections.json").read_text())]


def _blocks(
    folder: Path, track: str
) -> Iterator[tuple[str, NDArray[np.uint32], NDArray[np.float32]]]:
    """Yield (contig, positions, values) in the order of the file, `BLOCK` of them at most."""
    with (
        (folder / "positions.spool").open("rb") as positions,
        (folder / f"{track}.spool").open("rb") as values,
    ):
        for section in _sections(folder):
            for start in range(0, section.count, BLOCK):
                at = (section.first + start) * _POS.itemsize
                positions.seek(at)
                values.seek(at)
                count = min(BLOCK, section.count - start)
                pos = np.frombuffer(positions.read(count * 4), _POS)
                yield section.contig, pos, np.frombuffer(values.read(count * 4), _VALUE)


def fault(folder: str, track: str, path: str) -> str | None:
    """Return what is wrong with a bigWig that should hold a track of a spool; None: nothing."""
    try:
        file = pybigtools.open(path)
    except (pybigtools.BBIReadError, OSError) as error:
        return f"it cannot be opened: {error}"
    try:
        count = 0
        contig, entries = None, iter(())
        for name, pos, values in _blocks(Path(folder), track):
            if name != contig:
                if next(entries, None) is not None:
                    return f"it has more values on contig {contig!r} than were given"
                contig, entries = name, iter(file.records(name))
            records = np.fromiter(islice(entries, len(pos)), _ENTRY)
            if not (
                np.array_equal(records["start"], pos - 1)
                and np.array_equal(records["end"], pos)
                and np.array_equal(records["value"], values)
            ):
                return f"its values near {name}:{pos[0]} are not those that were given"
            count += len(pos)
        if next(entries, None) is not None:
            return f"it has more values on contig {contig!r} than were given"
        for level in file.zooms():
            covered = sum(
                entry[2]["bases_covered"]
                for section in _sections(Path(folder))
                for entry in file.zoom_records(level, section.contig)
            )
            if covered != count:
                return f"its zoom level {level} covers {covered} of {count} positions"
        covered = file.info()["summary"]["basesCovered"]
        return None if covered == count else f"its summary counts {covered} of {count} positions"
    except (pybigtools.BBIReadError, OSError, KeyError) as error:
        return f"it cannot be read: {error}"
    finally:
        file.close()
