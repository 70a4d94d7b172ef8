"""The lines of a bgzip table with an index, by place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from varlm.annotation.published.bgzf_blocks import BgzfBlocks
from varlm.annotation.published.tabix_index import TextIndex
from varlm.errors import UserError

_RAW = 1 << 18, 1 << 21  # compressed bytes read at a time, at first and at most
_BLOCKS = 2, 128  # blocks of 64 kB inflated at a time: a few alleles need little
_SHOWN = 60  # characters of a line in a message
_FAR = 1 << 62  # a position behind all


class IndexedText:
    """A table of text and its index.

    Parameters
    ----------
    path, index : Path

    Attributes
    ----------
    contigs : list of str
        As the table names them.
    layout : tabix_index.Layout
        How its lines are made.
    """

    def __init__(self, path: Path, index: Path):
        self._path = path
        self._blocks = BgzfBlocks(path)
        self._index = TextIndex(index)
        self.contigs = self._index.contigs
        self.layout = self._index.layout

    def lines(self, contig: str, first: int, last: int) -> Iterator[bytes]:
        """Yield whole lines, many at a time: those of a contig's positions from `first` to `last`.

        Parameters
        ----------
        contig : str
            One of `contigs`.
        first, last : int
            As the table counts positions; both included.

        Raises
        ------
        UserError
            If the table is damaged, or the index is not its own.
        """
        rest, begun = b"", False
        for text, is_last in self._texts(contig, first):
            block = rest + text
            end = len(block) if is_last else block.rfind(b"\n") + 1
            lines, rest = block[:end], block[end:]
            if not begun and (lines or is_last):
                begun = True
                self._check_first(lines[: lines.find(b"\n") + 1] or lines, contig)
            low = self._behind(lines, contig, first - 1)
            high = self._behind(lines, contig, last)
            if low < high:
                yield lines[low:high]
            if high < len(lines):
                return

    def _texts(self, contig: str, first: int) -> Iterator[tuple[bytes, bool]]:
        """Yield text from a contig's first position on, and whether it is the file's last."""
        offset = self._index.offset(contig, max(0, first - 1))
        at, skip = offset >> 16, offset & 0xFFFF
        size, count = _RAW[0], _BLOCKS[0]
        blocks = self._blocks.raw(at, size)
        before = self._blocks_before(blocks, at, contig, first)
        if before:
            at += sum(map(len, blocks[:before]))
            blocks = blocks[before:]
            skip = self._inflated(blocks[:1], at).find(b"\n") + 1
        while blocks:
            for low in range(0, len(blocks), count):
                some = blocks[low : low + count]
                text = self._inflated(some, at)[skip:]
                at, skip = at + sum(map(len, some)), 0
                yield text, False
            size, count = min(2 * size, _RAW[1]), min(4 * count, _BLOCKS[1])
            blocks = self._blocks.raw(at, size)
        yield b"", True

    def _inflated(self, blocks: list[bytes], at: int) -> bytes:
        return b"".join(self._blocks.inflated(block, at) for block in blocks)

    def _blocks_before(self, blocks: list[bytes], at: int, contig: str, first: int) -> int:
        """Return how many blocks hold lines before a position alone; bisects their first lines."""
        low, high = 0, len(blocks) - 1  # the answer is from `low` to `high`
        while low < high:
            middle = (low + high + 1) // 2
            text = self._blocks.inflated(blocks[middle], at)
            start = text.find(b"\n") + 1
            end = text.find(b"\n", start)
            if start and end > start and not self._is_behind(text[start:end], contig, first - 1):
                low = middle
            else:
                high = middle - 1
        return low

    def _check_first(self, line: bytes, contig: str) -> None:
        """Raise `UserError` unless the line that the index leads to is a row of the contig."""
        if not line or self._is_behind(line, contig, _FAR):
            raise UserError(
                f"{self._path}: where its index has rows of {contig!r} there is "
                f"{_shown(line) if line else 'nothing'}; the index is another file's: make it "
                "again with tabix"
            )

    def _behind(self, lines: bytes, contig: str, position: int) -> int:
        """Return where the first line begins that is behind a position; bisects whole lines."""
        low, high = 0, len(lines)
        while low < high:
            start = lines.rfind(b"\n", low, (low + high) // 2) + 1 or low
            end = lines.find(b"\n", start) + 1 or len(lines)
            if self._is_behind(lines[start:end], contig, position):
                high = start
            else:
                low = end
        return low

    def _is_behind(self, line: bytes, contig: str, position: int) -> bool:
        layout = self.layout
        if line.startswith(layout.comment) or not line.strip():
            return False
        fields = line.rstrip(b"\r\n").split(b"\t", max(layout.contig, layout.pos) + 1)
        try:
            return fields[layout.contig].decode() != contig or int(fields[layout.pos]) > position
        except (IndexError, ValueError):
            raise UserError(
                f"{self._path}: found the line {_shown(line)}, expected a position in column "
                f"{layout.pos + 1}, as its index says; make the index again with tabix"
            ) from None


def _shown(line: bytes) -> str:
    return repr(line[:_SHOWN].decode("utf-8", "replace"))
