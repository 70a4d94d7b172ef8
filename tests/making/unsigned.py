"""Tables as versions before signed integers wrote them."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from varlm.files.whole import write_digest
from varlm.tables.parquet import Table, scan_table


def make_unsigned(path: Path, table: Table) -> None:
    """Write a table again with the types that it has in memory, and its digest if it has one."""
    metadata = {k: v for k, v in pl.read_parquet_metadata(path).items() if k != "ARROW:schema"}
    frame = scan_table(path, table).collect()
    assert frame.schema == table.schema != table.file_schema
    frame.write_parquet(path, compression="zstd", compression_level=3, metadata=metadata)
    assert pl.read_parquet_schema(path) == table.schema
    if path.with_name(f"{path.name}.sha256").exists():
        write_digest(path)
