"""Text of any compression, told by its content: bounded pieces, whole lines, decoded lines.

Every file of text that a user names is read here, so that each is told, checked and bounded alike:
a zip bomb of 1.4 MB grows to gigabytes, and is refused as soon as one line of it is too long.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from varlm.errors import UserError
from varlm.files import inflate, sniff

LONGEST = 1 << 24  # bytes of a line of any table
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # what some editors put before the first character
_PIECE = 1 << 20  # bytes of a plain file read at a time


def head(path: Path, expected: str) -> bytes:
    """Return the first bytes of a file as it lies on disk, `inflate.HEAD` of them.

    Raises
    ------
    UserError
        As `content` does, if it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(inflate.HEAD)
    except OSError as error:
        raise _unreadable(path, expected, error) from error


def content(
    path: Path, expected: str, seen: Callable[[bytes], object] = lambda _: None
) -> Iterator[bytes]:
    """Yield what a plain, gzip or bgzip file holds, in pieces of some 1 MB, 2 at most.

    A byte-order mark is left out. Nothing is decoded.

    Parameters
    ----------
    path : Path
    expected : str
        What a message says was expected, such as `reference.fasta must name a FASTA file`.
    seen : callable
        Called with each piece of the file as it lies on disk (for a digest).

    Raises
    ------
    UserError
        If the file cannot be read, is truncated or damaged, or is (or holds, where gzipped)
        what is not expected: another compression or format, UTF-16 text, a Git LFS pointer, a
        server's page (`varlm.files.sniff`).
    """
    try:
        with path.open("rb") as file:
            gzipped = inflate.is_gzip(file.read(2))
            file.seek(0)
            pieces = inflate.inflate(file, path, seen) if gzipped else _plain(file, seen)
            first = next(pieces, b"")
            _refuse_others(first, path, expected)
            yield first.removeprefix(_BYTE_ORDER_MARK)
            yield from pieces
    except OSError as error:
        raise _unreadable(path, expected, error) from error


def whole_lines(
    pieces: Iterable[bytes], path: Path, size: int, longest: int, remedy: str, first: int = 1
) -> Iterator[tuple[bytes, int]]:
    """Join pieces into whole lines, and yield them with the 1-based number of the first.

    Parameters
    ----------
    pieces : iterable of bytes
        From `content`; read no further than the lines that were yielded, and a piece.
    path : Path
        For messages.
    size : int
        Bytes to yield at a time, give or take a piece or a line.
    longest : int
        Bytes that a line may have, give or take a piece.
    remedy : str
        What the message about a longer line ends in.
    first : int
        The number of the first line.

    Yields
    ------
    (bytes, int)
        All but the last end in a line feed.

    Raises
    ------
    UserError
        If a line is too long, once those before it were yielded.
    """
    parts: list[bytes] = []
    total = rest = 0  # bytes of the parts, and of the line without end behind them
    for piece in pieces:
        parts.append(piece)
        total += len(piece)
        end = piece.rfind(b"\n") + 1
        rest = len(piece) - end + (0 if end else rest)
        if total < size and rest <= longest:
            continue
        if rest < total:
            block = b"".join(parts)
            lines = block[: total - rest]
            parts, total = [block[total - rest :]], rest
            del block
            yield lines, first
            first += lines.count(b"\n")
        if rest > longest:
            raise UserError(f"{path}, line {first}: longer than {longest} bytes; {remedy}")
    if total:
        yield b"".join(parts), first


def decoded_lines(path: Path, expected: str, longest: int = LONGEST) -> Iterator[tuple[int, str]]:
    r"""Yield the 1-based number and the text of each line of a file of UTF-8 text.

    A line ends in `\n`, `\r\n` or, as old spreadsheets have it, `\r`, which are left out.

    Parameters
    ----------
    path, expected
        As in `content`.
    longest : int
        Characters that a line may have, give or take a piece.

    Raises
    ------
    UserError
        As `content` does, and naming the line that is too long or no UTF-8.
    """
    utf8 = codecs.getincrementaldecoder("utf-8")()
    decoder = io.IncrementalNewlineDecoder(utf8, translate=True)
    number, rest = 1, ""
    for piece in chain(content(path, expected), [b""]):  # at last, what the decoder holds back
        try:
            text = rest + decoder.decode(piece, final=not piece)
        except UnicodeDecodeError as error:
            line = number + error.object.count(b"\n", 0, error.start)
            raise UserError(
                f"{path}, line {line}: not UTF-8 text ({error.reason}); save the file as UTF-8"
            ) from error
        *lines, rest = text.split("\n")
        yield from enumerate(lines, number)
        number += len(lines)
        if len(rest) > longest:
            raise UserError(f"{path}, line {number}: longer than {longest} characters; {expected}")
    if rest:
        yield number, rest


def tabbed(
    path: Path, expected: str, where: str
) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """Return the header of a user's TSV, and its rows: the line's number and the cells.

    Lines that start with ## before the header, and empty ones behind it, are passed over; so is a
    # before the first column's name.

    Parameters
    ----------
    path, expected
        As in `content`.
    where : str
        The config key, for messages.

    Raises
    ------
    UserError
        As `decoded_lines` does; while the rows are read, if one has another number of cells.
    """
    lines = decoded_lines(path, expected)
    head_line = next((line for _, line in lines if not line.startswith("##")), "")
    header = head_line.lstrip("#").split("\t") if head_line else []
    return header, _cells(lines, len(header), f"{where}: {path}")


def _cells(
    lines: Iterator[tuple[int, str]], count: int, place: str
) -> Iterator[tuple[int, list[str]]]:
    for number, line in lines:
        if not line:
            continue
        cells = line.split("\t")
        if len(cells) != count:
            raise UserError(
                f"{place}, line {number}: {len(cells)} cells, expected {count}, separated by tabs"
            )
        yield number, [cell.strip() for cell in cells]


def _plain(file: BinaryIO, seen: Callable[[bytes], object]) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        seen(piece)
        yield piece


def _refuse_others(start: bytes, path: Path, expected: str) -> None:
    found = sniff.foreign(start, expected)
    if found is None:
        return
    compressions = "" if found.stands_for or found.text_format else ", plain, gzip or bgzip"
    raise UserError(f"{path}: found {found.what}; {expected}{compressions}: {found.remedy}")


def _unreadable(path: Path, expected: str, error: OSError) -> UserError:
    return UserError(f"{path}: cannot be read ({error.strerror}); {expected}")
