"""Start codons that are not ATG, or become another start codon of their genetic code.

`bcftools csq -l` says start_lost of the latter, whatever its tables list; the Sequence Ontology's
term, and VEP's, is start_retained_variant: the protein still begins there, with methionine. Of a
start that its table does not list it says missense.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from varlm.annotation.genes import codons, csq, residues, terms
from varlm.annotation.genes.coding import Sequences

_LOST, _RETAINED = terms.BIT["start_lost"], terms.BIT["start_retained_variant"]
_OF_CODON = terms.bits(("start_lost", "missense_variant", "synonymous_variant"))


class FirstCodons:
    """The start codons of the transcripts that are read with a code of several, or begin with one.

    Parameters
    ----------
    transcripts, cds, recoded : polars.DataFrame
        `tables.TRANSCRIPTS`, `CDS`, `RECODED`.
    sequences : Sequences
    """

    def __init__(
        self,
        transcripts: pl.DataFrame,
        cds: pl.DataFrame,
        recoded: pl.DataFrame,
        sequences: Sequences,
    ):
        self._sequences = sequences
        methionine = recoded.filter((pl.col("residue") == 1) & (pl.col("letter") == "M"))
        self._other = methionine["index"].to_numpy().astype(np.int64)
        several = (pl.col("genetic_code") > 0) | pl.col("index").is_in(
            methionine["index"].implode()
        )
        first = first_pieces(transcripts.filter(several), cds)
        self._first = first.select("index", "contig", "strand", "genetic_code", "from")
        self._index = first["index"].to_numpy().astype(np.int64)

    def corrected(self, calls: csq.Calls, alleles: pl.DataFrame) -> csq.Calls:
        """Return csq's calls of alleles with what they do to start codons put right."""
        at_first = calls.protein.str.contains(r"^1[^0-9]").fill_null(False).to_numpy()
        lost = (calls.terms & _LOST != 0) & np.isin(calls.transcript, self._index)
        other = at_first & np.isin(calls.transcript, self._other)
        which = np.flatnonzero(lost | other)
        if not len(which):
            return calls
        sets, protein = calls.terms.copy(), calls.protein.to_list()
        places = np.searchsorted(alleles["row"].to_numpy(), calls.row[which])
        for n, place in zip(which, places, strict=True):
            _, pos, _, ref, alt = alleles.row(int(place))
            codon = None
            if len(ref) == len(alt):
                codon, code = self._codon(int(calls.transcript[n]), pos - 1, alt)
            if codon is not None:
                kept = codons.kept_start(codon, code)
                sets[n] = (sets[n] & ~np.uint32(_OF_CODON)) | (_RETAINED if kept else _LOST)
                letter = "M" if kept else codons.translated(codon, code)
                protein[n] = protein[n] and residues.restarted(protein[n], letter)
            elif other[n]:
                protein[n] = residues.respelled(protein[n], {1: "M"})
        text = pl.Series("protein", protein, pl.String)
        return csq.Calls(calls.row, calls.transcript, sets, text)

    def _codon(self, transcript: int, start: int, alt: str) -> tuple[str | None, int]:
        """Return what exchanged bases (0-based) make of a start codon, and the genetic code.

        None where they leave it as it is, or where it lies over an intron.
        """
        row = int(np.searchsorted(self._index, transcript))
        if row == len(self._index) or self._index[row] != transcript:
            return None, 0
        _, contig, strand, code, first = self._first.row(row)
        places = first + np.arange(3) * (1 if strand == "+" else -1)
        bases = self._sequences.at(contig, places).copy()
        was = bases.copy()
        within = (places >= start) & (places < start + len(alt))
        bases[within] = np.frombuffer(alt.encode(), np.uint8)[places[within] - start]
        if (bases == was).all():
            return None, code
        bases = codons.complement(bases) if strand == "-" else bases
        return bases.tobytes().decode(), code


def first_pieces(transcripts: pl.DataFrame, cds: pl.DataFrame) -> pl.DataFrame:
    """Return the transcripts whose first coding piece has a whole start codon, by `index`.

    Returns
    -------
    polars.DataFrame
        Their columns, and `from`: the 0-based position of the codon's first base.
    """
    forward = pl.col("strand") == "+"
    reach = pl.when(forward).then("piece_start").otherwise(-pl.col("piece_end"))
    return (
        cds.select(
            "index",
            "phase",
            pl.col("start").cast(pl.Int64).alias("piece_start"),
            pl.col("end").cast(pl.Int64).alias("piece_end"),
        )
        .join(transcripts, on="index")
        .sort("index", reach)
        .unique("index", keep="first", maintain_order=True)
        .filter((pl.col("phase") == 0) & (pl.col("piece_end") - pl.col("piece_start") >= 3))
        .with_columns(
            pl.when(forward).then("piece_start").otherwise(pl.col("piece_end") - 1).alias("from")
        )
    )
