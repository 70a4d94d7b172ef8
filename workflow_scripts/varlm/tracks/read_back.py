"""bigWigs read back, and compared with what they were made of, value by value."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pybigtools
from numpy.typing import NDArray

from varlm.files.bigwig import ENTRY, BigWig
from varlm.tracks.bigwig_file import MANY
from varlm.tracks.spool import Section, blocks_of, mixed_blocks, sections_of

_ASKED = 100  # of many contigs, that pybigtools is asked for; each takes it 3 ms among 20,000
_FAULTS = (pybigtools.BBIReadError, OSError, KeyError, ValueError, struct.error, zlib.error)


def fault(folder: str, track: str, path: str) -> str | None:
    """Return what is wrong with a bigWig that should hold a track of a spool; None: nothing."""
    try:
        file = pybigtools.open(path)
    except (pybigtools.BBIReadError, OSError) as error:
        return f"it cannot be opened: {error}"
    spool = Path(folder)
    sections = sections_of(spool)
    try:
        if len(sections) > MANY:
            said = _fault_of_many(Path(path), spool, track, sections)
            return said or _fault_of_some(file, spool, track, sections)
        return _fault_of_few(file, spool, track, sections)
    except _FAULTS as error:
        return f"it cannot be read: {error}"
    finally:
        file.close()


def _fault_of_few(
    file: pybigtools.BBIReader, folder: Path, track: str, sections: list[Section]
) -> str | None:
    """Let pybigtools read every value."""
    count = 0
    contig, entries = None, iter(())
    for name, pos, values in blocks_of(folder, track):
        if name != contig:
            if next(entries, None) is not None:
                return _more_on(contig)
            contig, entries = name, iter(file.records(name))
        records = np.fromiter(islice(entries, len(pos)), ENTRY)
        if not _as_given(records, pos, values):
            return _not_as_given(name, pos)
        count += len(pos)
    if next(entries, None) is not None:
        return _more_on(contig)
    for level in file.zooms():
        covered = sum(
            entry[2]["bases_covered"]
            for section in sections
            for entry in file.zoom_records(level, section.contig)
        )
        if covered != count:
            return f"its zoom level {level} covers {covered} of {count} positions"
    covered = file.info()["summary"]["basesCovered"]
    return None if covered == count else f"its summary counts {covered} of {count} positions"


def _fault_of_many(path: Path, folder: Path, track: str, sections: list[Section]) -> str | None:
    """Follow the indexes to every value."""
    names = [section.contig for section in sections]
    with BigWig(path) as file:
        if file.contigs() != [(section.contig, section.length) for section in sections]:
            return "its contigs are not those that were given"
        values_in_file = _Rows(file.values())
        for number, pos, values in mixed_blocks(folder, track):
            contigs, entries = values_in_file.take(len(pos))
            if not (np.array_equal(contigs, number) and _as_given(entries, pos, values)):
                return _not_as_given(names[number[0]], pos)
        if len(values_in_file.take(1)[0]):
            return _more_on(names[-1])
        count = sum(section.count for section in sections)
        for level, covered in file.zooms():
            if covered != count:
                return f"its zoom level {level} covers {covered} of {count} positions"
        if file.covered != count:
            return f"its summary counts {file.covered} of {count} positions"
    return None


class _Rows:
    """Values of sections, taken by number."""

    def __init__(self, sections: Iterator[tuple[int, NDArray[Any]]]):
        self._sections = sections
        self._contigs, self._entries = np.empty(0, np.int64), np.empty(0, ENTRY)

    def take(self, count: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Return the contigs' numbers and the values of the next ones, `count` if there are."""
        contigs, entries, size = [self._contigs], [self._entries], len(self._entries)
        while size < count and (section := next(self._sections, None)) is not None:
            contigs.append(np.full(len(section[1]), section[0]))
            entries.append(section[1])
            size += len(section[1])
        all_contigs, all_entries = np.concatenate(contigs), np.concatenate(entries)
        self._contigs, self._entries = all_contigs[count:], all_entries[count:]
        return all_contigs[:count], all_entries[:count]


def _fault_of_some(
    file: pybigtools.BBIReader, folder: Path, track: str, sections: list[Section]
) -> str | None:
    """Let pybigtools, which did not write the file, find the values of some contigs."""
    some = sections[:: -(-len(sections) // _ASKED)]
    for contig, pos, values in blocks_of(folder, track, some):
        records = np.fromiter(
            islice(file.records(contig, int(pos[0]) - 1, int(pos[-1])), len(pos)), ENTRY
        )
        if not _as_given(records, pos, values):
            return _not_as_given(contig, pos)
    return None


def _as_given(records: NDArray[Any], pos: NDArray[np.uint32], values: NDArray[np.float32]) -> bool:
    return (
        np.array_equal(records["start"], pos - 1)
        and np.array_equal(records["end"], pos)
        and np.array_equal(records["value"], values)
    )


def _not_as_given(contig: str, pos: NDArray[np.uint32]) -> str:
    return f"its values near {contig}:{pos[0]} are not those that were given"


def _more_on(contig: str | None) -> str:
    return f"it has more values on contig {contig!r} than were given"
