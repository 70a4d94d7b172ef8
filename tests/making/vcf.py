"""VCF files for tests, and the oracle that normalised alleles are compared with."""

import gzip
import struct
import subprocess
import sys
import zlib
from collections import Counter
from pathlib import Path

import pysam

from varlm.genome.reference import Genome
from varlm.tables.schemas import REJECTED
from varlm.variants.cohort import CohortVcf, NormaliseOptions, normalise

_RUN = """
import sys
import pysam.bcftools
getattr(pysam.bcftools, sys.argv[1])(*sys.argv[2:], catch_stdout=False)
"""


def vcf_text(records, contigs=None, samples=0, header=()):
    """Return a VCF as text; each record is a tuple of its first columns, filled up with '.'."""
    lines = ["##fileformat=VCFv4.2", '##FILTER=<ID=PASS,Description="All filters passed">']
    lines += [f"##contig=<ID={name},length={len(seq)}>" for name, seq in (contigs or {}).items()]
    lines += header
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO"]
    if samples:
        columns += ["FORMAT", *(f"S{i}" for i in range(samples))]
    lines.append("\t".join(columns))
    for record in records:
        row = [str(field) for field in record] + ["."] * (8 - len(record))
        lines.append("\t".join(row + (["GT"] + ["0/1"] * samples if samples else [])))
    return "\n".join(lines) + "\n"


def bgzipped(text):
    """Return `text` (str or bytes) as a bgzip file's bytes, in blocks of at most 4 kB of text."""
    data = text.encode() if isinstance(text, str) else text
    blocks = b"".join(_block(data[i : i + 4096]) for i in range(0, len(data), 4096))
    return blocks + _block(b"")


def block_ends(data):
    """Return the offset behind each block of a bgzip file that pysam or `bgzipped` made."""
    ends, at = [], 0
    while at < len(data):
        at += int.from_bytes(data[at + 16 : at + 18], "little") + 1
        ends.append(at)
    return ends


def _block(data):
    deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
    body = deflate.compress(data) + deflate.flush()
    head = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0" + struct.pack("<H", len(body) + 25)
    return head + body + struct.pack("<II", zlib.crc32(data), len(data))


def bcftools(*arguments):
    """Run bcftools in a child process (in this one, its errors leak and may crash)."""
    command = [sys.executable, "-c", _RUN, *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True)


def bcf_of(vcf: Path) -> Path:
    """Return the BCF that bcftools makes of a well-formed VCF."""
    out = vcf.with_suffix(".bcf")
    bcftools("view", "--no-version", "-Ob", "-o", out, vcf)
    return out


def norm_oracle(result, reference: Path, folder: Path) -> list[tuple[str, int, str, str]]:
    """Return (contig, pos, ref, alt) that `bcftools norm` gives each accepted allele's input."""
    rows = result.variants.with_row_index("row").sort("contig", "input_pos")
    genome = Genome.open(reference)
    lengths = dict(genome.contigs.select("contig", "length").iter_rows())
    vcf, out = folder / "oracle.in.vcf", folder / "oracle.out.vcf"
    columns = ["contig", "input_pos", "row", "input_ref", "input_alt"]
    header = [f"##contig=<ID={name},length={length}>" for name, length in lengths.items()]
    vcf.write_text(vcf_text(rows.select(columns).iter_rows(), header=header))
    bcftools("norm", "-f", reference / "genome.fa", "-Ov", "-o", out, vcf)
    found = {}
    for line in out.read_text().splitlines():
        if not line.startswith("#"):
            contig, pos, row, ref, alt = line.split("\t")[:5]
            found[int(row)] = (contig, int(pos), ref.upper(), alt.upper())
    return [found[row] for row in range(result.variants.height)]


def norm_of_file(vcf: Path, reference: Path, folder: Path) -> Counter:
    """Return how often `bcftools norm -m- -f` of a well-formed file has each allele."""
    out = folder / "oracle.vcf"
    bcftools("norm", "-m-", "-f", reference / "genome.fa", "-Ov", "-o", out, vcf)
    found = Counter()
    with out.open("rb") as lines:
        for line in lines:
            if not line.startswith(b"#"):
                chrom, pos, _, ref, alt = line.decode().split("\t", 5)[:5]
                found[chrom, int(pos), ref.upper(), alt.upper()] += 1
    return found


def alleles_of(variants) -> Counter:
    """Return how often an accepted table has each (contig, pos, ref, alt)."""
    return Counter(variants.select("contig", "pos", "ref", "alt").iter_rows())


def intake(reference: Path, *vcfs: Path, **options):
    """Normalise files as the cohort 'test' and check what must hold of every result."""
    files = [vcf if isinstance(vcf, CohortVcf) else CohortVcf(vcf) for vcf in vcfs]
    options = NormaliseOptions(**options)
    result = normalise("test", files, Genome.open(reference), options)
    accounting = result.accounting
    assert accounting.alleles_in == result.variants.height + result.rejected.height
    assert accounting.accepted == result.variants.height
    assert accounting.rejected == sum(accounting.by_reason.values())
    assert accounting.alleles_in == sum(file.alleles for file in accounting.files)
    return result


def reasons(result) -> dict[str, str]:
    """Return ALT as given → reason."""
    return dict(result.rejected.select("alt", "reason").iter_rows())


def read_rejected(path: Path) -> list[dict[str, str]]:
    """Read rejected.tsv.gz with nothing but gzip and split."""
    lines = gzip.decompress(path.read_bytes()).decode().split("\n")
    assert lines.pop() == ""
    header = lines.pop(0).split("\t")
    assert header == REJECTED.names
    rows = [line.split("\t") for line in lines]
    assert all(len(row) == len(header) for row in rows)
    return [dict(zip(header, row, strict=True)) for row in rows]


def tabix(path: Path) -> None:
    """Index a bgzipped VCF."""
    pysam.tabix_index(str(path), preset="vcf", force=True)
