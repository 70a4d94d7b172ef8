"""Coding consequences by `bcftools csq -l`, in child processes, a batch of alleles each.

csq sees nothing of the user's files: a GFF3 of the coding transcripts alone, Ensembl-style, with
ids made here; a FASTA index whose contigs are named c0, c1, …; a minimal sites-only VCF. So no
name of a gene, transcript or contig can mean something to csq, and no INFO field can crash it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.annotation.genes import terms
from varlm.annotation.genes.csq_input import Reference, write_alleles
from varlm.errors import UserError
from varlm.run import bcftools

log = logging.getLogger(__name__)

# The tables of csq.c in bcftools 1.24 (gencode_tables); its numbers are NCBI's, 0 is its default:
# the standard code in which ATG alone starts a protein.
GENETIC_CODES = frozenset({*range(7), *range(9, 17), *range(21, 32), 33})
REACH = 10  # bp beyond an exon at which csq may still say something: 8, and one base of anchors


@dataclass(frozen=True)
class Calls:
    """What csq says of (allele, transcript) pairs, sorted by both, each pair once.

    Attributes
    ----------
    row : numpy.ndarray
        int64, shape (n,): the allele's number in the VCF's ID.
    transcript : numpy.ndarray
        int64, shape (n,): the transcript's index.
    terms : numpy.ndarray
        uint32, shape (n,): sets of `varlm.annotation.genes.terms`.
    protein : polars.Series
        String, length n: change of amino acids as csq writes it, or null.
    """

    row: NDArray[np.int64]
    transcript: NDArray[np.int64]
    terms: terms.Terms
    protein: pl.Series


def run(fasta: Path, gff3: Path, code: int, vcf: Path, out: Path) -> None:
    """Run `bcftools csq -l` in a child process.

    Raises
    ------
    BcftoolsCrashError
        If a signal ended it.
    UserError
        If it refuses its input.
    """
    options = ["-l", "--no-version", "-v", "0", "-C", str(code), "-Ov"]
    files = ["-f", str(fasta), "-g", str(gff3), "-o", str(out), str(vcf)]
    try:
        bcftools.run("csq", *options, *files)
    except bcftools.BcftoolsCrashError:
        raise
    except bcftools.BcftoolsError as error:
        raise UserError(
            f"bcftools csq failed on {gff3.name} with genetic code {code}: {error}; the annotation "
            "or the reference folder may be damaged: delete both and run the workflow again"
        ) from error


def call(alleles: pl.DataFrame, reference: Reference, gff3: Path, code: int, stem: Path) -> Calls:
    """Return csq's calls of a batch of alleles; files named `stem`.* come and go.

    Should an allele crash csq, the batch is halved until that allele is alone; it is then left
    without calls, with a warning, and the others keep theirs.

    Parameters
    ----------
    alleles : polars.DataFrame
        Columns as in `write_alleles`, sorted, `row` ascending.
    """
    vcf, out = stem.with_suffix(".vcf"), stem.with_suffix(".out")
    try:
        write_alleles(alleles, reference.header, vcf)
        run(reference.fasta, gff3, code, vcf, out)
        return read_calls(out, alleles["row"])
    except bcftools.BcftoolsCrashError as crash:
        if alleles.height == 1:
            contig, pos, _, ref, alt = alleles.row(0)
            log.warning(
                "contig number %d, position %d, %.60s>%.60s: %s; the allele has no coding "
                "consequence from it",
                contig,
                pos,
                ref,
                alt,
                crash,
            )
            return EMPTY
    finally:
        vcf.unlink(missing_ok=True)
        out.unlink(missing_ok=True)
    half = alleles.height // 2
    parts = [call(part, reference, gff3, code, stem) for part in (alleles[:half], alleles[half:])]
    return joined(parts)


def read_calls(path: Path, sent: pl.Series) -> Calls:
    """Read csq's output and check that it has a line for every allele that was sent, in order."""
    table = pl.read_csv(
        path,
        separator="\t",
        comment_prefix="##",
        has_header=True,
        quote_char=None,
        columns=["ID", "INFO"],
        schema_overrides={"ID": pl.Int64, "INFO": pl.String},
    )
    if not table["ID"].equals(sent.cast(pl.Int64).alias("ID")):
        raise UserError(
            f"{path}: bcftools csq returned {table.height} of {len(sent)} alleles; the disk may "
            "be full or failing: run again"
        )
    entries = (
        table.filter(pl.col("INFO").str.starts_with("BCSQ="))
        .select("ID", pl.col("INFO").str.slice(5).str.split(","))
        .explode("INFO", empty_as_null=True)
        .select("ID", pl.col("INFO").str.splitn("|", 7).alias("fields"))
        .unnest("fields")
        .filter(pl.col("field_2").str.starts_with("t"))
        .select(
            row="ID",
            transcript=pl.col("field_2").str.slice(1).cast(pl.Int64),
            said="field_0",
            protein="field_5",
        )
    )
    kinds = entries.select(
        "said", changes=pl.col("protein").str.contains(">", literal=True).fill_null(False)
    )
    distinct = kinds.unique()
    distinct = distinct.with_columns(
        pl.Series(
            "terms", [terms.from_csq(*kind) for kind in distinct.iter_rows()], dtype=pl.UInt32
        )
    )
    with_terms = kinds.join(distinct, on=["said", "changes"], how="left", maintain_order="left")
    return _by_pair(
        entries["row"].to_numpy(),
        entries["transcript"].to_numpy(),
        with_terms["terms"].to_numpy(),
        entries["protein"],
    )


def _by_pair(
    row: NDArray[np.int64], transcript: NDArray[np.int64], sets: terms.Terms, protein: pl.Series
) -> Calls:
    """Join the entries that csq gives one allele and transcript."""
    order = np.lexsort((protein.is_null().to_numpy(), transcript, row))
    row, transcript, sets = row[order], transcript[order], sets[order]
    fresh = np.ones(len(row), dtype=bool)
    fresh[1:] = (row[1:] != row[:-1]) | (transcript[1:] != transcript[:-1])
    first = np.flatnonzero(fresh)
    if len(first):
        sets = np.bitwise_or.reduceat(sets, first)
    return Calls(row[first], transcript[first], sets, protein.gather(order[first]))


def joined(parts: Sequence[Calls]) -> Calls:
    """Return the calls of several batches as one, sorted."""
    if len(parts) == 1:
        return parts[0]
    return _by_pair(
        np.concatenate([part.row for part in parts]),
        np.concatenate([part.transcript for part in parts]),
        np.concatenate([part.terms for part in parts]),
        pl.concat([part.protein for part in parts]),
    )


def without(calls: Calls, transcripts: NDArray[np.int64]) -> Calls:
    """Return the calls less those of some transcripts."""
    if not len(transcripts):
        return calls
    kept = np.flatnonzero(~np.isin(calls.transcript, transcripts))
    if len(kept) == len(calls.row):
        return calls
    return Calls(
        calls.row[kept], calls.transcript[kept], calls.terms[kept], calls.protein.gather(kept)
    )


EMPTY = Calls(
    np.empty(0, np.int64),
    np.empty(0, np.int64),
    np.empty(0, np.uint32),
    pl.Series("protein", [], pl.String),
)


def workers() -> int:
    """Return how many children run at once: the CPUs that this process may use, at most two."""
    return min(2, len(os.sched_getaffinity(0)))


def check_code(code: int, contig: str) -> None:
    """Raise `UserError` unless csq knows the genetic code."""
    if code not in GENETIC_CODES:
        raise UserError(
            f"genetic code {code} of contig {contig!r} is unknown; expected one of NCBI's that "
            f"bcftools csq has: {', '.join(map(str, sorted(GENETIC_CODES - {0})))} "
            "(annotate.genetic_codes, or transl_table in the annotation)"
        )


def codes_in_use(transcripts: pl.DataFrame) -> Mapping[int, pl.DataFrame]:
    """Return genetic code → its transcripts, of those that have coding calls."""
    called = transcripts.filter(pl.col("genetic_code").is_not_null())
    return {
        int(code): called.filter(pl.col("genetic_code") == code)
        for code in called["genetic_code"].unique().sort()
    }
