"""Inflate gzip and bgzip files as streams, checked: every CRC, every length, the end marker.

zlib, Polars, cyvcf2 and Python's gzip accept a bgzip file cut between two blocks without a word
(half of a million rows, exit status 0), so the end is checked here before anything is read.
Format: SAM specification, section 4.1 (BGZF), and RFC 1952 (gzip).
"""

from __future__ import annotations

import struct
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

from varlm.errors import UserError

# The empty block that ends every complete BGZF file (SAM specification, section 4.1.2).
EOF_MARKER = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")

_RAW = 256 << 10  # compressed bytes inflated by one task: some 10 to 60 blocks
_TASKS = 3  # tasks ahead of the reader: with two threads, inflating hides behind parsing
_PIECE = 4 << 20  # bytes that plain gzip yields at most at a time: bounds a zip bomb
_MAX_BLOCK = 1 << 16
_COPY_AGAIN = "copy or download the file again"


def is_gzip(head: bytes) -> bool:
    """Return whether a file that starts with `head` is gzip (bgzip included)."""
    return head[:2] == b"\x1f\x8b"


def is_bgzf(head: bytes) -> bool:
    """Return whether a file that starts with `head` (≥ 18 bytes) is bgzip."""
    return is_gzip(head) and _block_size(head) is not None


def inflate(file: BinaryIO, path: Path, seen: Callable[[bytes], object]) -> Iterator[bytes]:
    """Yield the content of a gzip or bgzip file, in order, in pieces of a few MB at most.

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
    head = file.read(18)
    bgzf = is_bgzf(head)
    if bgzf:
        _check_end(file, path)
    file.seek(0)
    yield from _bgzf(file, path, seen) if bgzf else _gzip(file, path, seen)


def _check_end(file: BinaryIO, path: Path) -> None:
    size = file.seek(0, 2)
    file.seek(max(0, size - len(EOF_MARKER)))
    if file.read() != EOF_MARKER:
        raise UserError(
            f"{path}: truncated: the empty block that ends a bgzip file is missing after byte "
            f"{size}; {_COPY_AGAIN}"
        )


def _block_size(block: bytes, at: int = 0) -> int | None:
    """Return the size of the BGZF block at `at` from its BC subfield; None: not a BGZF block."""
    if block[at : at + 4] != b"\x1f\x8b\x08\x04" or len(block) < at + 18:
        return None
    if block[at + 10 : at + 16] == b"\x06\x00BC\x02\x00":  # the only form in practice
        return int.from_bytes(block[at + 16 : at + 18], "little") + 1
    extra = int.from_bytes(block[at + 10 : at + 12], "little")
    start, end = at + 12, at + 12 + extra
    while start + 4 <= end:
        length = int.from_bytes(block[start + 2 : start + 4], "little")
        if block[start : start + 2] == b"BC" and length == 2:
            return int.from_bytes(block[start + 4 : start + 6], "little") + 1
        start += 4 + length
    return None


def _bgzf(file: BinaryIO, path: Path, seen: Callable[[bytes], object]) -> Iterator[bytes]:
    pending: deque[Future[bytes]] = deque()
    rest, offset = b"", 0
    with ThreadPoolExecutor(2, thread_name_prefix="inflate") as pool:
        while raw := file.read(_RAW):
            seen(raw)
            raw = rest + raw
            ends = _block_ends(raw, offset, path)
            for start, group in _tasks(raw, ends):
                pending.append(pool.submit(_inflate_blocks, raw, start, group, offset, path))
                while len(pending) > _TASKS:
                    yield pending.popleft().result()
            offset += ends[-1] if ends else 0
            rest = raw[ends[-1] :] if ends else raw
        if rest:
            raise UserError(
                f"{path}: truncated inside the bgzip block at byte {offset}; {_COPY_AGAIN}"
            )
        while pending:
            yield pending.popleft().result()


def _block_ends(raw: bytes, offset: int, path: Path) -> list[int]:
    """Return the ends of the whole blocks in `raw`, which starts at byte `offset` of the file."""
    ends, at = [], 0
    while at + 18 <= len(raw):
        size = _block_size(raw, at)
        if size is None or size < 26:
            raise UserError(
                f"{path}: damaged: no bgzip block at byte {offset + at}, where one must start; "
                f"{_COPY_AGAIN}"
            )
        if at + size > len(raw):
            break
        at += size
        ends.append(at)
    return ends


def _tasks(raw: bytes, ends: list[int]) -> Iterator[tuple[int, list[int]]]:
    """Cut blocks into groups that inflate to `_PIECE` or little more: start and ends of each.

    Ordinary text is one group a read; a bomb, whose blocks inflate a thousandfold, is many, so
    that memory holds a few pieces of it and not a few reads.
    """
    start, group, size = 0, [], 0
    for end in ends:
        group.append(end)
        size += min(int.from_bytes(raw[end - 4 : end], "little"), _MAX_BLOCK)
        if size >= _PIECE:
            yield start, group
            start, group, size = end, [], 0
    if group:
        yield start, group


def _inflate_blocks(raw: bytes, start: int, ends: list[int], offset: int, path: Path) -> bytes:
    """Inflate whole blocks; zlib releases the interpreter lock, so two threads run this."""
    view = memoryview(raw)
    out, at = [], start
    for end in ends:
        data = at + 12 + int.from_bytes(view[at + 10 : at + 12], "little")
        crc, length = struct.unpack_from("<II", raw, end - 8)
        try:
            text = zlib.decompress(view[data : end - 8], -zlib.MAX_WBITS, min(length, _MAX_BLOCK))
        except zlib.error as error:
            raise UserError(
                f"{path}: damaged bgzip block at byte {offset + at} ({error}); {_COPY_AGAIN}"
            ) from error
        if len(text) != length or zlib.crc32(text) != crc:
            raise UserError(
                f"{path}: damaged bgzip block at byte {offset + at}: its checksum or length is "
                f"not that of its content; {_COPY_AGAIN}"
            )
        out.append(text)
        at = end
    return b"".join(out)


def _gzip(file: BinaryIO, path: Path, seen: Callable[[bytes], object]) -> Iterator[bytes]:
    """Inflate all members of a plain gzip file; zlib checks CRC and length."""
    member = None
    offset = 0
    try:
        # Small reads: zlib copies what follows a member, and a file may have many.
        while raw := file.read(256 << 10):
            seen(raw)
            offset += len(raw)
            while raw:
                if member is None:
                    raw = raw.lstrip(b"\0")  # padding after the last member is allowed
                    if not raw:
                        break
                    member = zlib.decompressobj(wbits=31)
                yield member.decompress(raw, _PIECE)
                raw = member.unconsumed_tail
                if member.eof:
                    raw, member = member.unused_data, None
    except zlib.error as error:
        raise UserError(
            f"{path}: damaged gzip data before byte {offset} ({error}); {_COPY_AGAIN}"
        ) from error
    if member is not None:
        raise UserError(
            f"{path}: truncated: the gzip data ends in the middle, at byte {offset}; {_COPY_AGAIN}"
        )
