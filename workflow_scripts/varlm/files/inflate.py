"""Inflate gzip and bgzip files as streams, checked: every CRC, every length, the end marker.

igzip, zlib, Polars, cyvcf2 and Python's gzip accept a bgzip file cut between two blocks without a
word (half of a million rows, exit status 0), so the end is checked here before anything is read.
Formats: SAM specification, section 4.1 (BGZF), and RFC 1952 (gzip).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from isal import isal_zlib

from varlm.errors import UserError

# The empty block that ends every complete BGZF file (SAM specification, section 4.1.2).
EOF_MARKER = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")

HEAD = 1 << 16  # bytes that tell gzip from bgzip: its mark may lie behind other extra fields
# Bytes read at a time: what follows a member of the file is copied, and there may be many.
_RAW = 256 << 10
_PIECE = 1 << 20  # bytes inflated at a time: bounds a zip bomb
_COPY_AGAIN = "copy or download the file again"


def is_gzip(head: bytes) -> bool:
    """Return whether a file that starts with `head` is gzip (bgzip included)."""
    return head[:2] == b"\x1f\x8b"


def is_bgzf(head: bytes) -> bool:
    """Return whether a file that starts with `head` (`HEAD` bytes) is bgzip: it has a BC field."""
    if head[:4] != b"\x1f\x8b\x08\x04":
        return False
    fields = head[12 : 12 + int.from_bytes(head[10:12], "little")]
    while len(fields) >= 6:
        if fields[:4] == b"BC\x02\x00":
            return True
        fields = fields[4 + int.from_bytes(fields[2:4], "little") :]
    return False


def inflate(file: BinaryIO, path: Path, seen: Callable[[bytes], object]) -> Iterator[bytes]:
    """Yield the content of a gzip or bgzip file, in order, in pieces of some 1 MB, 2 at most.

    Parameters
    ----------
    file : BinaryIO
        Open at its start.
    path : Path
        Its name, for messages.
    seen : callable
        Called with each piece of the compressed file as it is read (for a digest).

    Raises
    ------
    UserError
        If the file is truncated or damaged; the message names the byte where.
    """
    bgzf = is_bgzf(file.read(HEAD))
    if bgzf:
        _check_end(file, path)
    file.seek(0)
    parts: list[bytes] = []
    size = 0
    for part in _members(file, path, seen, "bgzip block" if bgzf else "gzip data"):
        parts.append(part)
        size += len(part)
        if size >= _PIECE:
            yield b"".join(parts)
            parts, size = [], 0
    if size:
        yield b"".join(parts)


def _check_end(file: BinaryIO, path: Path) -> None:
    size = file.seek(0, 2)
    file.seek(max(0, size - len(EOF_MARKER)))
    if file.read() != EOF_MARKER:
        raise UserError(
            f"{path}: truncated: the empty block that ends a bgzip file is missing after byte "
            f"{size}; {_COPY_AGAIN}"
        )


def _members(
    file: BinaryIO, path: Path, seen: Callable[[bytes], object], kind: str
) -> Iterator[bytes]:
    """Inflate the members of a gzip file, which bgzip calls blocks; isal checks CRC and length."""
    member = None
    start = end = 0  # of the member under way, and of what was read
    while raw := file.read(_RAW):
        seen(raw)
        end += len(raw)
        while raw:
            if member is None:
                raw = raw.lstrip(b"\0")  # padding after the last member is allowed
                if not raw:
                    break
                member, start = isal_zlib.decompressobj(wbits=31), end - len(raw)
            try:
                text = member.decompress(raw, _PIECE)
            except isal_zlib.error as error:  # type: ignore[misc]  # isal's stub: an instance
                raise UserError(
                    f"{path}: damaged {kind} at byte {start} ({error}); {_COPY_AGAIN}"
                ) from error
            yield text
            raw = member.unconsumed_tail
            if member.eof:
                raw, member = member.unused_data, None
    if member is not None:
        raise UserError(
            f"{path}: truncated inside the {kind} that starts at byte {start}: the file ends at "
            f"byte {end}; {_COPY_AGAIN}"
        )
