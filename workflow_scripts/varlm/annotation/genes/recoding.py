"""Codons that an annotation reads otherwise than the genetic code does.

Selenocysteine and pyrrolysine at stop codons, stops that are read through, other amino acids that
`transl_except` names, stop codons that polyadenylation completes, and starts that are not ATG.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import unquote

import numpy as np
import polars as pl

from varlm.annotation.genes import codons
from varlm.annotation.genes.coding import Sequences, coding_positions
from varlm.annotation.genes.first_codons import first_pieces
from varlm.annotation.genes.lines import CDS_TYPES, SELENO_TYPES
from varlm.annotation.genes.overlaps import Ints
from varlm.annotation.genes.tables import RECODED

SELENOCYSTEINE, READTHROUGH = "selenocysteine", "readthrough"
STATEMENTS = {
    "t": pl.UInt32,
    "at": pl.Int64,  # a base of the codon, 0-based; null: wherever a stop codon is in frame
    "means": pl.String,  # amino acid as NCBI writes it, or SELENOCYSTEINE or READTHROUGH
}
# (pos:110..112,aa:Sec), (pos:complement(join(1..2,50)),aa:Trp), (pos:4263,aa:TERM)
_EXCEPTION = re.compile(r"pos:([^:]*?),\s*(?:seq:[^,]*,\s*)?aa:(\w+)")
_LETTERS = {
    **{"Ala": "A", "Arg": "R", "Asn": "N", "Asp": "D", "Cys": "C", "Gln": "Q", "Glu": "E"},
    **{"Gly": "G", "His": "H", "Ile": "I", "Leu": "L", "Lys": "K", "Met": "M", "Phe": "F"},
    **{"Pro": "P", "Pyl": "O", "Sec": "U", "Ser": "S", "Thr": "T", "Trp": "W", "Tyr": "Y"},
    **{"Val": "V", "fMet": "M", "TERM": "*"},
}
UNKNOWN = "X"


def statements(parts: pl.DataFrame) -> pl.DataFrame:
    """Return what features and attributes say of codons: `STATEMENTS`."""
    seleno = parts.filter(pl.col("type").is_in(SELENO_TYPES)).select(
        pl.col("t").cast(pl.UInt32), pl.col("start").alias("at"), pl.lit("Sec").alias("means")
    )
    cds = parts.filter(pl.col("type").is_in(CDS_TYPES))
    whole = cds.filter(pl.col("rereads").is_not_null()).select(
        pl.col("t").cast(pl.UInt32),
        pl.lit(None, pl.Int64).alias("at"),
        pl.col("rereads").alias("means"),
    )
    stated = cds.filter(pl.col("transl_except").is_not_null()).select(
        "t", "strand", "transl_except"
    )
    rows = [
        (t, at, means)
        for t, strand, text in stated.unique(maintain_order=True).iter_rows()
        for at, means in _exceptions(text, strand)
    ]
    listed = pl.DataFrame(rows, schema=STATEMENTS, orient="row")
    return pl.concat([seleno, listed, whole]).unique(maintain_order=True)


def _exceptions(text: str, strand: str | None) -> Iterable[tuple[int, str]]:
    """Yield the 5'-most base (0-based) and the amino acid of each codon of a transl_except."""
    for where, means in _EXCEPTION.findall(unquote(text)):
        numbers = [int(number) for number in re.findall(r"\d+", where)]
        if numbers:
            yield (max(numbers) if strand == "-" else min(numbers)) - 1, means


def recoded_residues(
    transcripts: pl.DataFrame,
    cds: pl.DataFrame,
    stated: pl.DataFrame,
    sequences: Sequences,
) -> tuple[pl.DataFrame, list[str]]:
    """Return the residues that do not read what their codon says, and what could not be placed.

    Parameters
    ----------
    transcripts, cds : polars.DataFrame
        `tables.TRANSCRIPTS`, `CDS`.
    stated : polars.DataFrame
        `STATEMENTS`, with the transcript's `index` in place of `t`.
    sequences : Sequences

    Returns
    -------
    residues : polars.DataFrame
        `tables.RECODED`.
    unplaced : list of str
        Ids of transcripts of which a statement names no base of the coding sequence.
    """
    called = transcripts.filter(pl.col("genetic_code").is_not_null())
    stated = stated.join(called.select("index"), on="index", how="semi")
    wanted = stated["index"].unique()
    pieces = cds.filter(pl.col("index").is_in(wanted.implode())).partition_by("index", as_dict=True)
    rows: list[tuple[int, int, str]] = []
    unplaced = []
    for row in called.filter(pl.col("index").is_in(wanted.implode())).iter_rows(named=True):
        positions = coding_positions(pieces[row["index"],], row["strand"])
        bases = sequences.coding(row["contig"], positions, row["strand"])
        said = stated.filter(pl.col("index") == row["index"]).select("at", "means").rows()
        turn = sequences.lengths[row["contig"]]
        residues, lost = _residues(positions % turn, bases, row["genetic_code"], said, turn)
        rows += [(row["index"], residue, letter) for residue, letter in sorted(residues.items())]
        if lost:
            unplaced.append(row["transcript"])
    starts = _other_starts(called, cds, sequences)
    table = pl.concat([pl.DataFrame(rows, schema=RECODED.schema, orient="row"), starts])
    table = table.unique(["index", "residue"], keep="first", maintain_order=True)
    return RECODED.check(table.sort("index", "residue"), "recoded"), unplaced


def _residues(
    positions: Ints, bases: str, code: int, said: Sequence[tuple[int | None, str]], turn: int
) -> tuple[dict[int, str], bool]:
    """Return residue → letter of one transcript, and whether a statement lies outside of it."""
    table = codons.amino_acids(code)
    residues: dict[int, str] = {}
    lost = False
    for at, means in said:
        if at is None:
            continue
        where = np.flatnonzero(positions == at % turn)
        if not len(where):
            lost = True
            continue
        first = int(where[0]) // 3
        letter = _LETTERS.get(means, UNKNOWN)
        if table.get(bases[3 * first : 3 * first + 3]) != letter:
            residues[first + 1] = letter
    protein = codons.translated(bases, code)
    for at, means in said:
        if at is not None:
            continue
        for stop in re.finditer(r"\*(?=.)", protein):
            residue = stop.start() + 1
            codon = bases[3 * residue - 3 : 3 * residue]
            if means == READTHROUGH:
                residues.setdefault(residue, UNKNOWN)
            elif codon == "TGA":
                residues.setdefault(residue, "U")
    return residues, lost


def _other_starts(called: pl.DataFrame, cds: pl.DataFrame, sequences: Sequences) -> pl.DataFrame:
    """Return the first residues (M) of proteins that start at another codon than ATG.

    By the standard code, which lists ATG alone, only where the transcript has bases before its
    coding sequence: one that begins with it may be a fragment.
    """
    first = first_pieces(called.with_columns(bare=_bare()), cds)
    rows = []
    for (contig,), of_contig in first.partition_by("contig", as_dict=True).items():
        forward = (of_contig["strand"] == "+").to_numpy()
        start, step = of_contig["from"].to_numpy(), np.where(forward, 1, -1)
        bases = np.stack([sequences.at(str(contig), start + n * step) for n in range(3)])
        bases = np.where(forward, bases, codons.complement(bases))
        other = np.flatnonzero((bases != np.frombuffer(b"ATG", np.uint8)[:, None]).any(axis=0))
        for row in other:
            codon = bases[:, row].tobytes().decode()
            index, code, bare = of_contig.select("index", "genetic_code", "bare").row(int(row))
            if codons.may_start(codon, code) and not (code == 0 and bare):
                rows.append((index, 1, "M"))
    return pl.DataFrame(rows, schema=RECODED.schema, orient="row")


def _bare() -> pl.Expr:
    """Whether nothing of the transcript lies before its coding sequence."""
    return (
        pl.when(pl.col("strand") == "+")
        .then(pl.col("start") == pl.col("coding_start"))
        .otherwise(pl.col("end") == pl.col("coding_end"))
    )
