"""Writing embeddings in parts, each whole: a step that was stopped goes on with the next one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from varlm.files.json_record import JsonRecord
from varlm.files.whole import atomic_path, sha256
from varlm.probing.parts import (
    RECORD,
    ROWS,
    TABLE,
    EmbeddingsRecord,
    Floats,
    PartRecord,
    mapped,
    part_path,
)
from varlm.tables.parquet import write_table

PART_BYTES = 256_000_000  # of a part, unless one row is larger
PART_ROWS = 1024  # of a part: what a step that is stopped may lose

_IDENTITY = "identity.json"


@dataclass(frozen=True, kw_only=True)
class _Identity(JsonRecord):
    """Of what the parts in a folder are: `EmbeddingsRecord.identity`."""

    MADE_BY = "embed"

    identity: str


def part_slices(rows: int, row_bytes: int, most: int = PART_BYTES) -> list[slice]:
    """Return the rows of each part: what fits `most` bytes, or one, `PART_ROWS` at most.

    Of no rows, one part.
    """
    size = min(max(most // row_bytes, 1), PART_ROWS)
    return [slice(start, min(start + size, rows)) for start in range(0, max(rows, 1), size)]


class PartsWriter:
    """Writes the parts of a folder, and knows those that are there.

    Parameters
    ----------
    folder : Path
        Made if need be. Parts of another identity are removed.
    identity : str
        `EmbeddingsRecord.identity`.
    """

    def __init__(self, folder: Path, identity: str):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RECORD).unlink(missing_ok=True)  # until all of it is there
        path = folder / _IDENTITY
        if not path.exists() or _Identity.read(path).identity != identity:
            self._remove_from(0)
            _Identity(identity=identity).write(path)

    def has(self, number: int, shape: tuple[int, ...]) -> bool:
        """Return whether a part is there, whole: files are renamed into place."""
        return mapped(part_path(self.folder, number), shape) is not None

    def write(self, number: int, values: Floats) -> None:
        """Write a part, whole or not at all."""
        with atomic_path(part_path(self.folder, number)) as temporary, temporary.open("wb") as file:
            np.save(file, np.ascontiguousarray(values, np.float32))

    def finish(self, rows: pl.DataFrame, record: EmbeddingsRecord) -> None:
        """Write the table and, last, the record, whose parts are those that it has the rows of."""
        self._remove_from(len(record.parts))
        write_table(rows, self.folder / TABLE, ROWS)
        record.write(self.folder / RECORD)

    def records(self, slices: list[slice]) -> tuple[PartRecord, ...]:
        """Return what embeddings.json says of the parts, which hold these rows."""
        return tuple(
            PartRecord(rows=part.stop - part.start, sha256=sha256(part_path(self.folder, number)))
            for number, part in enumerate(slices)
        )

    def _remove_from(self, first: int) -> None:
        """Remove the parts from a number on, and what a step that was killed left half-written."""
        for path in self.folder.glob("part-*.npy"):
            if int(path.stem.removeprefix("part-")) >= first:
                path.unlink()
        for path in self.folder.glob(".part-*.tmp"):
            path.unlink()
