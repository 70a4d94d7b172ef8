"""Small tables of published scores, in the forms in which they are published, and cohorts."""

from pathlib import Path

import polars as pl
import pysam

from making.vcf import vcf_text
from varlm.files.whole import write_digest
from varlm.genome.reference import Genome
from varlm.run.score_tables import ScoreColumn, ScoreTable
from varlm.tables.parquet import write_table
from varlm.tables.schemas import VARIANTS
from varlm.variants.cohort import CohortVcf, NormaliseOptions, normalise


def table(path, *columns, name="t", **options):
    """A table; a column is (name, source) or (name, source, options)."""
    parts = [
        ScoreColumn(name=column[0], source=column[1], **(column[2] if len(column) > 2 else {}))
        for column in columns
    ]
    return ScoreTable(name=name, path=str(path), columns=tuple(parts), **options)


def write_text(path: Path, lines) -> Path:
    """Lines of tab-separated text; a line is a text or a tuple."""
    rows = (line if isinstance(line, str) else "\t".join(map(str, line)) for line in lines)
    path.write_text("".join(f"{row}\n" for row in rows))
    return path


def tabix(path: Path, *, csi=False, end=None, preset=None, zerobased=False, skip=0) -> Path:
    """Compress and index a text; return the bgzip file."""
    out = path.with_name(path.name + ".gz")
    pysam.tabix_compress(str(path), str(out), force=True)
    layout = {"preset": preset} if preset else {"seq_col": 0, "start_col": 1, "end_col": end or 1}
    layout |= {"zerobased": zerobased, "line_skip": skip}
    # A CSI of small windows: a few rows lie in several of them.
    options = {"csi": True, "min_shift": 5} if csi else {}
    pysam.tabix_index(str(out), force=True, **layout, **options)
    return out


def write_indexed(path: Path, lines, **options) -> Path:
    """Lines as a bgzip text with its index."""
    return tabix(write_text(path, lines), **options)


def write_score_vcf(path: Path, records, infos, contigs=None) -> Path:
    """A bgzip VCF with its index; a record is (chrom, pos, ref, alts, info)."""
    header = [f"##INFO=<ID={tag},Number={n},Type={t},Description=x>" for tag, n, t in infos]
    rows = [(c, pos, ".", ref, alt, ".", ".", info) for c, pos, ref, alt, info in records]
    path.write_text(vcf_text(rows, contigs, header=header))
    return tabix(path, preset="vcf")


def write_cohort(folder: Path, reference: Path, records) -> Path:
    """`variants.parquet` of records (chrom, pos, ref, alts), with its digest."""
    folder.mkdir(exist_ok=True)
    vcf = folder / "cohort.vcf"
    vcf.write_text(vcf_text([(c, pos, ".", ref, alt) for c, pos, ref, alt in records]))
    genome = Genome.open(reference)
    result = normalise("c", [CohortVcf(vcf)], genome, NormaliseOptions())
    assert result.variants.height
    path = folder / "variants.parquet"
    write_table(result.variants, path, VARIANTS)
    write_digest(path)
    return path


def snvs(sequence: str, contig: str, start=1, end=None):
    """(contig, pos, ref, alt, score) of each SNV of a stretch; the scores are all different."""
    rows = []
    for pos in range(start, (end or len(sequence)) + 1):
        ref = sequence[pos - 1]
        for number, alt in enumerate(base for base in "ACGT" if base != ref):
            rows.append((contig, pos, ref, alt, pos + number / 4))
    return rows


def frame_of(rows, *names) -> pl.DataFrame:
    """Rows of `snvs` as a frame."""
    return pl.DataFrame(
        rows, schema=[*(names or ("chrom", "pos", "ref", "alt", "score"))], orient="row"
    )
