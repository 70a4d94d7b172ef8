"""Writing the rows of a part to its file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import polars as pl

from varlm.store.layout import LAYOUT, METADATA, PACKED, PACKED_LAYOUT, Kind, Part, place
from varlm.tables.parquet import ROW_GROUP


def write_part(root: Path, key: str, kind: Kind, contig: str, rows: pl.DataFrame) -> Part:
    """Write rows (sorted, unique) as a part of a store; it exists once a commit lists it.

    Parameters
    ----------
    root : Path
        The store's folder.
    key : str
        Model key.
    kind : Kind
    contig : str
        Contig digest; `PACKED` where the rows have a column `contig`.
    rows : polars.DataFrame
    """
    digest, size = place_part(
        root / key, contig, lambda file: write_rows(file, key, kind, contig, rows)
    )
    return part_of(kind, contig, rows, digest, size)


def write_rows(file: BinaryIO, key: str, kind: Kind, contig: str, rows: pl.DataFrame) -> None:
    """Write the content of a part, with what it says of itself; arguments as in `write_part`."""
    layout = PACKED_LAYOUT if contig == PACKED else LAYOUT
    about = {"layout": layout, "key": key, "kind": kind.name, "contig": contig}
    rows.write_parquet(
        file,
        compression="zstd",
        compression_level=3,
        row_group_size=ROW_GROUP,
        metadata={METADATA: json.dumps(about)},
    )


def part_of(kind: Kind, contig: str, rows: pl.DataFrame, sha256: str, size: int) -> Part:
    """Return what a commit says of a part of these rows, whose file has this size (bytes)."""
    first, last = rows.select(pl.col("pos").min(), pl.col("pos").max().alias("last")).row(0)
    if kind.name == "background":
        first = last = 0
    return Part(kind.name, contig, sha256, size, rows.height, first, last)


def place_part(folder: Path, contig: str, write: Callable[[BinaryIO], object]) -> tuple[str, int]:
    """Write a part below a model's folder, named by its SHA-256; return that and its size."""
    digest, size = place(write, folder / contig, ".parquet")
    # A part that was set aside as damaged may come again, bit for bit.
    (folder / "damaged" / f"{digest}.parquet").unlink(missing_ok=True)
    return digest, size
