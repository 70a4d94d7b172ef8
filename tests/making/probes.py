"""Embeddings of a probe's rows as the step `embed` leaves them, of any numbers."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from varlm.probing.parts import ROWS, EmbeddingsRecord, Kind, Positions
from varlm.probing.writing import PartsWriter, part_slices


def embedded(
    folder: Path,
    values: np.ndarray,
    labels: Sequence[float],
    folds: Sequence[str],
    sequences: Sequence[str],
    *,
    alternates: Sequence[str] | None = None,
    model: str = "gpn",
    kind: Kind = "sequences",
    positions: Positions = "all",
    part_bytes: int = 4096,
) -> Path:
    """Write float32 values, shape (rows, positions, channels), of variants (2, rows, …).

    Parts are small, so that there are several.
    """
    values = np.asarray(values, np.float32)
    axis, rows = (1 if kind == "variants" else 0), len(labels)
    frame = pl.DataFrame(
        {
            "row": range(rows),
            "chrom": folds,
            "start": None,
            "end": None,
            "strand": None,
            "label": labels,
            "fold": folds,
            "sequence": sequences,
            "alternate": alternates,
        },
        schema=ROWS.schema,
    )
    writer = PartsWriter(folder, identity="test")
    slices = part_slices(rows, values.nbytes // max(rows, 1), part_bytes)
    for number, part in enumerate(slices):
        writer.write(number, values[(slice(None),) * axis + (part,)])
    writer.finish(
        frame,
        EmbeddingsRecord(
            model=model,
            kind=kind,
            positions=positions,
            channels=values.shape[-1],
            length=len(sequences[0]),
            window=len(sequences[0]),
            rows=rows,
            left_out={},
            parts=writer.records(slices),
            table="test",
            identity="test",
        ),
    )
    return folder
