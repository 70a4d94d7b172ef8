"""The blocks of a bgzip file from an offset on, inflated as they are asked for.

pysam inflates with zlib; isal, which varlm reads every file with, takes a third of that time.
Format: SAM specification, section 4.1. isal checks each block's CRC and length.
"""

from __future__ import annotations

import os
import weakref
from pathlib import Path

from isal import isal_zlib

from varlm.errors import UserError

_HEAD = 18  # bytes of a block up to its size
_MARK = b"BC\x02\x00"  # at byte 12, in what bgzip writes


class BgzfBlocks:
    """A bgzip file, read block by block.

    Raises
    ------
    UserError
        If the file cannot be read.
    """

    def __init__(self, path: Path):
        self._path = path
        try:
            self._file = path.open("rb", buffering=0)
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror})") from error
        weakref.finalize(self, self._file.close)  # at the latest when the object goes

    def raw(self, offset: int, size: int) -> list[bytes]:
        """Return the whole blocks, compressed, among `size` bytes from a block on; at least one.

        Returns
        -------
        list of bytes
            Empty at the end of the file.

        Raises
        ------
        UserError
            If there is no block at the offset, or it is cut.
        """
        data = os.pread(self._file.fileno(), max(size, 1 << 16), offset)
        blocks, at = [], 0
        while at + _HEAD <= len(data):
            if data[at : at + 4] != b"\x1f\x8b\x08\x04" or data[at + 12 : at + 16] != _MARK:
                raise self._damaged(offset + at, "no bgzip block begins there")
            length = int.from_bytes(data[at + 16 : at + 18], "little") + 1
            if at + length > len(data):
                break
            blocks.append(data[at : at + length])
            at += length
        if data and not blocks:
            raise self._damaged(offset, "the file ends inside of this block")
        return blocks

    def inflated(self, block: bytes, offset: int) -> bytes:
        """Return what a block holds; `offset`, where it lies, is for the message."""
        try:
            return bytes(isal_zlib.decompress(block, 31))
        except isal_zlib.error as error:  # type: ignore[misc]  # isal's stub: an instance
            raise self._damaged(offset, str(error)) from error

    def _damaged(self, offset: int, why: str) -> UserError:
        return UserError(
            f"{self._path}: damaged at byte {offset}, or its index is another file's ({why}); copy "
            "or download both again, or make the index again with tabix"
        )
