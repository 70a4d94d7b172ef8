"""What a job of an earlier varlm left of a shard: one file, read so that it is not lost.

Up to commit c9c1f55, before any release, the scores so far were a file where there is a folder
now (`varlm.scoring.partial_scores`). Layout, little endian: a line of JSON (`version` 1,
`identity`, `method`); then records, each a head (kind, first row, rows, seconds, CRC-32 of head
and numbers) and its numbers. What follows the last whole record is not used.
"""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from varlm.tables.schemas import LOGIT_COLUMNS

_HEAD = struct.Struct("<cIIfI")
_KINDS: dict[bytes, tuple[tuple[str, ...], np.dtype[Any], pl.DataType]] = {
    b"s": (LOGIT_COLUMNS, np.dtype("<f4"), pl.Float32()),
    b"a": (("llr_fwd", "llr_rev"), np.dtype("<f8"), pl.Float64()),
}


@dataclass(frozen=True)
class OldScores:
    """`method`: mode, batch_size, device; `stretches`: scores, and the seconds they took."""

    method: dict[str, Any]
    stretches: list[tuple[pl.DataFrame, float]]


def read_partial_file(path: Path, identity: dict[str, Any]) -> OldScores | None:
    """Return the scores of the whole records; None where they are of something else."""
    text = path.read_bytes()
    at = text.find(b"\n") + 1
    try:
        header = json.loads(text[:at])
        known = header["version"] == 1 and header["identity"] == identity
        old = OldScores(dict(header["method"]), [])
    except (ValueError, KeyError, TypeError):
        known = False
    if not known:
        return None
    while len(text) - at >= _HEAD.size:
        kind, start, count, seconds, digest = _HEAD.unpack_from(text, at)
        if kind not in _KINDS:
            break
        columns, dtype, polars_type = _KINDS[kind]
        size = count * len(columns) * dtype.itemsize
        data = text[at + _HEAD.size : at + _HEAD.size + size]
        head = _HEAD.pack(kind, start, count, seconds, 0)
        if len(data) < size or zlib.crc32(data, zlib.crc32(head)) != digest:
            break
        rows = np.frombuffer(data, dtype).reshape(count, len(columns))
        schema = dict.fromkeys(columns, polars_type)
        old.stretches.append((pl.DataFrame(rows, schema=schema), seconds))
        at += _HEAD.size + size
    return old
