"""Print the records of a VCF as htslib understands them: a program of its own, never imported.

`htslib_lines.py FILE TAG…` reads the contigs named on standard input (UTF-8, one a line) through
the index beside FILE; with no name there, it reads FILE from its start. htslib parses every record
and writes it again, so that a value it could not take does not come back. A record can end this
process with a signal, and one that htslib refuses can end its contig without a word: who reads
the lines must count them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import chain

from cyvcf2 import VCF, Variant

_BYTES = 1 << 20  # of text collected before it is written


def records(path: str, contigs: list[str]) -> Iterator[Variant]:
    """Return the file's records, genotypes left out."""
    vcf = VCF(path, samples=[])
    if not contigs:
        return iter(vcf)
    # In a bare name, a colon would begin a range.
    return chain.from_iterable(vcf("{" + name + "}") for name in contigs)


def line(record: Variant, tags: list[str]) -> str:
    """Return the record's first eight columns and the line's end."""
    try:
        return str(record)
    except UnicodeDecodeError:  # in a column of another tool's: those are not compared
        values = ((tag, record.INFO.get(tag)) for tag in tags)
        info = ";".join(f"{tag}={text(value)}" for tag, value in values if value is not None)
        alts = ",".join(record.ALT) or "."
        return f"{record.CHROM}\t{record.POS}\t.\t{record.REF}\t{alts}\t.\t.\t{info or '.'}\n"


def text(value: object) -> str:
    """Return a value of INFO as VCF has it."""
    if isinstance(value, tuple):
        return ",".join(map(text, value))
    return "." if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def main(path: str, *tags: str) -> None:
    """Write the lines to standard output."""
    names = sys.stdin.buffer.read().decode().split("\n")
    lines, size = [], 0
    for record in records(path, [name for name in names if name]):
        lines.append(line(record, list(tags)))
        size += len(lines[-1])
        if size >= _BYTES:
            sys.stdout.buffer.write("".join(lines).encode())
            lines, size = [], 0
    sys.stdout.buffer.write("".join(lines).encode())
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
