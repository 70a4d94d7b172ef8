"""Write bgzip files, every write error raised.

htslib's writers report a full disk only on close, or not at all (cyvcf2.Writer: exit status 0 on
a short file). Format: SAM specification, section 4.1.
"""

from __future__ import annotations

import struct
from pathlib import Path
from types import TracebackType

from isal import isal_zlib

from varlm.files.inflate import EOF_MARKER

_BLOCK = 0xFF00  # bytes of content in a block, as htslib has it: deflated, it always fits
# isal's densest. It takes a fifth of the time of zlib's level 4 (0.5 s for the TSV of 1.46 million
# alleles, so that no threads are needed); its files are 2 % (that TSV) to 6 % (their VCF) larger,
# and a fifth where there are thousands of samples. Level 0 would grow a block beyond its limit.
_LEVEL = 3
_HEADER = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0"


class BgzfWriter:
    """A file to write bytes to; a context manager that flushes, ends and closes it.

    The same bytes written give the same file.
    """

    def __init__(self, path: Path):
        self._file = path.open("wb")
        self._held: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        """Append `data`."""
        self._held.append(data)
        self._size += len(data)
        if self._size < _BLOCK:
            return
        content = b"".join(self._held)
        whole = len(content) - len(content) % _BLOCK
        for start in range(0, whole, _BLOCK):
            self._file.write(_block(content[start : start + _BLOCK]))
        self._held = [content[whole:]]
        self._size = len(content) - whole

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
                if self._size:
                    self._file.write(_block(b"".join(self._held)))
                self._file.write(EOF_MARKER)
        finally:
            self._file.close()


def _block(content: bytes) -> bytes:
    """Return at most `_BLOCK` bytes as one BGZF block."""
    deflate = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, -isal_zlib.MAX_WBITS)
    data = deflate.compress(content) + deflate.flush()
    end = struct.pack("<II", isal_zlib.crc32(content), len(content))
    return b"".join((_HEADER, struct.pack("<H", len(data) + 25), data, end))
