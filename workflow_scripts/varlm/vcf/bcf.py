"""Read BCF: its framing checked here, its text made by `bcftools view` in a child process."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from varlm.errors import UserError
from varlm.run import bcftools


def count_records(pieces: Iterable[bytes], path: Path) -> int:
    """Check all of a BCF file's framing and return its number of records.

    BCF2 (VCF specification, section 6): magic, l_text, text, then per record l_shared,
    l_indiv and that many bytes. `pieces` are the decompressed file.

    Raises
    ------
    UserError
        If the file ends inside a record, or a record is too short to be one.
    """
    buffer, records = bytearray(), -1  # −1: the header is to come
    skip = 0
    for piece in pieces:
        if skip >= len(piece):
            skip -= len(piece)
            continue
        buffer += memoryview(piece)[skip:]
        at = skip = 0
        while len(buffer) - at >= 9:
            if records < 0:
                length = 9 + struct.unpack_from("<I", buffer, at + 5)[0]
            else:
                shared, individual = struct.unpack_from("<II", buffer, at)
                length = 8 + shared + individual
                if shared < 24:
                    raise UserError(
                        f"{path}, record {records + 1}: damaged: a BCF record of {shared} "
                        "bytes, expected at least 24; make the file again"
                    )
            records += 1
            at += length
        if at > len(buffer):
            skip, at = at - len(buffer), len(buffer)
        del buffer[:at]
    if buffer or skip or records < 0:
        raise UserError(
            f"{path}: truncated inside record {records + 1}; copy or make the file again"
        )
    return records


def text(path: Path, genotypes: bool) -> Iterator[bytes]:
    """Yield the text that `bcftools view` makes of the file, in a child process.

    Raises
    ------
    UserError
        If bcftools cannot read the file, or crashes on it.
    """
    options = ["--no-version", "-Ov"] + ([] if genotypes else ["-G"])
    try:
        yield from bcftools.output("view", *options, str(path.resolve()))
    except bcftools.BcftoolsError as error:
        raise UserError(
            f"{path}: bcftools cannot read this BCF file ({error}); make it again with "
            "'bcftools view -Ob', or give the VCF it came from"
        ) from error
