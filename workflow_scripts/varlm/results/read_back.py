"""The annotated VCF read as its users' tools read it: by htslib, through the index.

The VCF is bytes of our own making; cyvcf2 (htslib) is an independent reader of them. Every record
of every contig that it finds through the index is compared with the annotated table. It runs in a
process of its own, since a record can crash it; memory holds a stretch of records.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NoReturn

import polars as pl
import pysam

from varlm.errors import UserError
from varlm.files.bgzip import BgzfWriter
from varlm.results.annotated_vcf import SOURCE
from varlm.results.differences import LOST, first_difference
from varlm.results.expected import Expected
from varlm.run.bcftools import signal_name

log = logging.getLogger(__name__)

_PIECE = 8 << 20  # bytes of text parsed at a time
_PROGRAM = Path(__file__).with_name("htslib_lines.py")
_COLUMNS = {"chrom": 0, "pos": 1, "ref": 3, "alt": 4, "info": 7}
_BLAME = (
    "this is a defect of varlm or of the disk: the file is not kept; run again, and report it if "
    "it comes back"
)


class ReadBackError(UserError):
    """htslib does not see in a file what the annotated table has."""


def check_read_back(
    vcf: Path, index: Path, expected: Expected, path: Path, files: Sequence[Path]
) -> None:
    """Compare what htslib reads of a VCF through its index with the table it was made of.

    What other tools wrote into a record may be more than htslib can read. Where it stumbles, the
    lines that the index leads to are read again without what is not varlm's; if these are right,
    there is a warning.

    Parameters
    ----------
    vcf, index : Path
        The finished file, and its .tbi or .csi; they may have other names yet.
    expected : Expected
    path : Path
        The file's name to be, for messages.
    files : sequence of Path
        The cohort's files, for messages.

    Raises
    ------
    ReadBackError
        Naming the record, the field, what htslib saw and what the table has.
    """
    if any(LOST in contig for contig in expected.contigs):
        log.warning("%s: not read back: a contig's name is no UTF-8", path)
        return
    with tempfile.TemporaryDirectory(dir=vcf.parent, prefix=".read_back.") as folder:
        link = Path(folder) / "linked.vcf.gz"
        link.symlink_to(vcf.resolve())
        link.with_name(link.name + index.suffix).symlink_to(index.resolve())
        try:
            _compare_whole(link, expected, path, files)
        except ReadBackError as error:
            bare = Path(folder) / "bare.vcf.gz"
            try:
                _write_bare(link, expected, bare)
                _compare_whole(bare, expected, path, files)
            except (ReadBackError, OSError, ValueError):
                raise error from None
            log.warning(
                "%s: htslib does not read it whole (%s), because of what was in the cohort's "
                "files; varlm's fields are as they should be",
                path,
                str(error).removesuffix(f"; {_BLAME}"),
            )


def _compare_whole(link: Path, expected: Expected, path: Path, files: Sequence[Path]) -> None:
    """Compare every contig, one half of the records beside the other."""

    def compare_part(part: Expected) -> None:
        with _htslib_lines(link, part.contigs, part) as lines:
            compare(lines, part, path, files)

    with ThreadPoolExecutor(2, thread_name_prefix="read_back") as pool:
        list(pool.map(compare_part, expected.parts()))


@contextmanager
def _htslib_lines(
    vcf: Path, contigs: Sequence[str], expected: Expected
) -> Iterator[Iterator[bytes]]:
    """Start `htslib_lines.py`; give its output in pieces of whole lines.

    Raises
    ------
    ReadBackError
        On leaving, if it did not end well.
    """
    # UTF-8 whatever the locale: cyvcf2 asks it for the encoding of contigs.
    command = [sys.executable, "-P", "-X", "utf8", "-W", "ignore", str(_PROGRAM), str(vcf)]
    with tempfile.TemporaryFile() as names, tempfile.TemporaryFile() as messages:
        names.write("\n".join(contigs).encode())
        names.seek(0)
        with subprocess.Popen(
            [*command, *expected.tags], stdin=names, stdout=subprocess.PIPE, stderr=messages
        ) as child:
            assert child.stdout is not None
            output = child.stdout

            def pieces() -> Generator[bytes, None, None]:
                rest = b""
                while piece := output.read(_PIECE):
                    whole, line_end, rest = (rest + piece).rpartition(b"\n")
                    yield whole + line_end
                if child.wait():
                    messages.seek(0)
                    said = messages.read().decode("utf-8", "replace").strip().splitlines()
                    how = (
                        f"a crash: {signal_name(-child.returncode)}"
                        if child.returncode < 0
                        else f"{(said or ['no word'])[-1][:200]}, exit status {child.returncode}"
                    )
                    raise ReadBackError(f"htslib cannot read the file ({how}); {_BLAME}")

            try:
                with closing(pieces()) as lines:
                    yield lines
            finally:
                child.kill()


def _write_bare(link: Path, expected: Expected, bare: Path) -> None:
    """Write the lines that the index leads to, less all that is not varlm's, as an indexed VCF.

    pysam's tabix finds them: it looks at CHROM and POS and at no other column.
    """
    tags = {tag.encode() for tag in expected.tags}
    with pysam.TabixFile(str(link), encoding="latin-1") as tabix, BgzfWriter(bare) as out:
        header = [line for line in tabix.header if SOURCE in line]
        out.write("\n".join(["##fileformat=VCFv4.2", *header]).encode("latin-1"))
        out.write(b"\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
        for contig in expected.contigs:
            for line in tabix.fetch("{" + contig + "}"):
                chrom, pos, _, ref, alt, _, _, info, *_ = line.encode("latin-1").split(b"\t")
                ours = [field for field in info.split(b";") if field.split(b"=")[0] in tags]
                fields = [chrom, pos, b".", ref, alt, b".", b".", b";".join(ours) or b"."]
                out.write(b"\t".join(fields) + b"\n")
    pysam.tabix_index(str(bare), preset="vcf", csi=True)


def compare(lines: Iterable[bytes], expected: Expected, path: Path, files: Sequence[Path]) -> None:
    """Compare VCF lines, in pieces, with what should be there; parameters as `check_read_back`.

    Raises
    ------
    ReadBackError
        At the first difference.
    """
    frames = (_columns(piece) for piece in lines)
    held = _columns(b"")
    for stretch in expected.stretches():
        while held.height < stretch.height and (frame := next(frames, None)) is not None:
            held = pl.concat([held, frame])
        seen, held = held[: stretch.height], held[stretch.height :]
        alleles = expected.alleles(stretch)
        if difference := first_difference(alleles, seen, expected.tags):
            _tell(*difference, path, files)
    if held.height or any(frame.height for frame in frames):
        raise ReadBackError(
            f"{path}: htslib reads more than the {expected.records.height} records that were "
            f"written; {_BLAME}"
        )


def _columns(text: bytes) -> pl.DataFrame:
    """Return the columns that are compared, `info` with a ';' before each field."""
    if not text:
        return pl.DataFrame(schema=dict.fromkeys(_COLUMNS, pl.String) | {"pos": pl.Int64})
    return pl.read_csv(
        text,
        separator="\t",
        has_header=False,
        columns=list(_COLUMNS.values()),
        new_columns=list(_COLUMNS),
        quote_char=None,
        infer_schema=False,
        empty_string_is_null=False,
    ).with_columns(pl.col("pos").cast(pl.Int64, strict=False), info=pl.lit(";") + pl.col("info"))


def _tell(
    allele: dict[str, object],
    field: str,
    saw: object,
    expected: object,
    path: Path,
    files: Sequence[Path],
) -> NoReturn:
    place = f"{allele['chrom']}:{allele['pos']} {allele['ref']}>{allele['alt']}"
    whence = f"record {int(str(allele['record'])) + 1} of {files[int(str(allele['file']))].name}"
    raise ReadBackError(
        f"{path}, {place} ({whence}): {field} is {_shown(saw)} for htslib, which reads the file "
        f"through its index, and {_shown(expected)} in the annotated table; {_BLAME}"
    )


def _shown(value: object) -> str:
    return "missing" if value is None else repr(value)[:80]
