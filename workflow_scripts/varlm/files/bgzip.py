"""Write bgzip files with several threads, every write error raised.

htslib's writers report a full disk only on close, or not at all (cyvcf2.Writer: exit status 0 on
a short file), and compress on one thread here. Format: SAM specification, section 4.1.
"""

from __future__ import annotations

import struct
import zlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from varlm.files.inflate import EOF_MARKER

_BLOCK = 0xFF00  # bytes of content in a block, as htslib has it: deflated, it always fits
_BATCH = 16 * _BLOCK  # content that one task compresses
# zlib. Level 6, bcftools' own, takes about 1.7 times as long; its files are 9 % (sites only)
# to 19 % (2,500 samples) smaller (benchmarks/export.py).
# isal, which inflates here, takes a fifth of the time at its densest level, 3, but its files are
# larger: 2 % (the TSV of 1.46 million alleles) and 6 % (their VCF) to 19 % (2,500 samples).
_LEVEL = 4
_AHEAD = 6  # tasks under way before a write waits
_HEADER = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0"


class BgzfWriter:
    """A file to write bytes to; a context manager that flushes, ends and closes it.

    The same bytes written give the same file.
    """

    def __init__(self, path: Path, threads: int = 2):
        self._file = path.open("wb")
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="deflate")
        self._pending: deque[Future[bytes]] = deque()
        self._held: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        """Append `data`."""
        self._held.append(data)
        self._size += len(data)
        if self._size < _BATCH:
            return
        content = b"".join(self._held)
        whole = len(content) - len(content) % _BATCH
        for start in range(0, whole, _BATCH):
            self._submit(content[start : start + _BATCH])
        self._held = [content[whole:]]
        self._size = len(content) - whole

    def _submit(self, content: bytes) -> None:
        self._pending.append(self._pool.submit(_blocks, content))
        while len(self._pending) > _AHEAD:
            self._file.write(self._pending.popleft().result())

    def __enter__(self) -> BgzfWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._submit(b"".join(self._held))
                while self._pending:
                    self._file.write(self._pending.popleft().result())
                self._file.write(EOF_MARKER)
        finally:
            self._pool.shutdown(cancel_futures=True)
            self._file.close()


def _blocks(content: bytes) -> bytes:
    """Return `content` as BGZF blocks; zlib releases the interpreter lock."""
    out = []
    for start in range(0, len(content), _BLOCK):
        piece = content[start : start + _BLOCK]
        deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        data = deflate.compress(piece) + deflate.flush()
        out += [_HEADER, struct.pack("<H", len(data) + 25), data]
        out.append(struct.pack("<II", zlib.crc32(piece), len(piece)))
    return b"".join(out)
