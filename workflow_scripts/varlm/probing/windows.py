"""What a model reads of a probe's rows: each in the middle of a window, its genome around it.

The base at index size // 2 of a row, on the row's own strand, is at index width // 2 of its window.
Around an interval or a variant is the genome, unless flanks are not to be read; around a sequence
of its own nothing is known, and it is taken for a contig's ends (`varlm.models.tokens.PAD`): each
family has a convention for these.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.genome.bases import COMPLEMENT, IS_ACGT
from varlm.genome.reference import Genome
from varlm.genome.windows import Bytes, allele_windows, reverse_complement
from varlm.models.tokens import PAD
from varlm.probing.parts import ROWS, Kind
from varlm.scoring.inference import allele_windows_of, site_windows_of


@dataclass(frozen=True)
class ProbeRows:
    """Rows of a probe's table.

    Attributes
    ----------
    kind : str
    frame : polars.DataFrame
        `varlm.probing.parts.ROWS`.
    alleles : polars.DataFrame or None
        Of variants `contig`, `pos` (1-based), `ref`, `alt`, as of `varlm.tables.schemas.SHARD`.
    flanks : bool
        Whether a model reads the genome around a row; else the row alone, as if it were a sequence
        of its own.
    """

    kind: Kind
    frame: pl.DataFrame
    alleles: pl.DataFrame | None = None
    flanks: bool = True

    def __len__(self) -> int:
        return self.frame.height

    def __getitem__(self, part: slice | NDArray[np.integer]) -> ProbeRows:
        alleles = None if self.alleles is None else self.alleles[part]
        return replace(self, frame=self.frame[part], alleles=alleles)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """The bp of each row that are embedded."""
        if self.kind == "sequences":
            sizes = self.frame["sequence"].str.len_bytes()
        else:
            sizes = self.frame["end"] - self.frame["start"]
        return sizes.to_numpy().astype(np.int64)


def windows_of(rows: ProbeRows, genome: Genome, width: int) -> tuple[Bytes, ...]:
    """Return windows around the rows, as read: uint8, shape (rows, width) each.

    One of sequences and intervals; of variants that of the reference and that of ALT. Each on the
    strand of its row.

    Parameters
    ----------
    rows : ProbeRows
    genome : Genome
    width : int
        bp, no less than a row's.

    Raises
    ------
    UserError
        If a variant does not fit the right half of a window.
    """
    if rows.kind == "sequences":
        return (_alone(rows, rows.frame["sequence"], width),)
    if not rows.flanks:
        sides = ("sequence", "alternate")[: 2 if rows.kind == "variants" else 1]
        return tuple(_alone(rows, rows.frame[side], width) for side in sides)
    if rows.kind == "intervals":
        return (_around(rows, genome, width),)
    assert rows.alleles is not None
    return _of_alleles(genome, rows.alleles, (rows.frame["strand"] == "-").to_numpy(), width)


def first_base(sizes: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    """Return where rows of these sizes begin in their windows."""
    return width // 2 - sizes // 2


def _alone(rows: ProbeRows, texts: pl.Series, width: int) -> Bytes:
    windows = np.full((len(rows), width), PAD, np.uint8)
    starts = first_base(rows.sizes, width)
    for window, start, text in zip(windows, starts, texts, strict=True):
        window[start : start + len(text)] = np.frombuffer(text.encode("ascii"), np.uint8)
    return windows


def _around(rows: ProbeRows, genome: Genome, width: int) -> Bytes:
    windows = np.empty((len(rows), width), np.uint8)
    behind = (rows.frame["strand"] == "-").to_numpy()
    sizes, starts = rows.sizes, rows.frame["start"].to_numpy()
    # The middle on the strand that is read, and how much lies before it on the forward one.
    middle = np.where(behind, starts + sizes - 1 - sizes // 2, starts + sizes // 2)
    sites = pl.DataFrame({"contig": rows.frame["chrom"], "pos": middle + 1})
    for chosen, before in ((~behind, width // 2), (behind, width - 1 - width // 2)):
        if chosen.any():
            windows[chosen] = site_windows_of(genome, sites.filter(chosen), width, before)
    windows[behind] = reverse_complement(windows[behind])
    return windows


def _of_alleles(
    genome: Genome, alleles: pl.DataFrame, behind: NDArray[np.bool_], width: int
) -> tuple[Bytes, Bytes]:
    """Return windows of REF and ALT; where `behind`, as of the contig's reverse complement."""
    both = np.empty((2, len(behind), width), np.uint8)
    if not behind.all():
        forward = allele_windows_of(genome, alleles.filter(~behind), width)
        both[:, ~behind] = forward.reference, forward.alternate
    contigs = alleles["contig"].to_numpy()
    for contig in np.unique(contigs[behind]):
        chosen = np.flatnonzero(behind & (contigs == contig))
        both[:, chosen] = _backwards(genome, str(contig), alleles[chosen], width)
    return both[0], both[1]


def _backwards(
    genome: Genome, contig: str, alleles: pl.DataFrame, width: int
) -> tuple[Bytes, Bytes]:
    """Return windows of REF and ALT on the reverse strand of their contig.

    The contig is read backwards, which copies nothing, and what is taken of it is complemented.
    """
    sequence = genome.sequence(contig)
    ends = (alleles["pos"] - 1 + alleles["ref"].str.len_bytes()).to_numpy().astype(np.int64)
    starts = len(sequence) - ends  # counted from the other end
    refs, alts = ([text[::-1] for text in alleles[side]] for side in ("ref", "alt"))
    circular = genome[contig].circular
    windows = allele_windows(sequence[::-1], starts, refs, alts, width, circular, PAD)
    return COMPLEMENT[windows.reference], COMPLEMENT[windows.alternate]


def with_sequences(rows: ProbeRows, genome: Genome) -> ProbeRows:
    """Return the rows with what is embedded of each in `sequence` and `alternate`."""
    if rows.kind == "sequences":
        return rows
    texts = np.full((2, len(rows)), None, object)
    sizes = rows.sizes
    for size in np.unique(sizes):
        chosen = np.flatnonzero(sizes == size)
        for side, windows in enumerate(windows_of(rows[chosen], genome, int(size))):
            texts[side, chosen] = [window.tobytes().decode("ascii") for window in windows]
    columns = [pl.Series(name, text, pl.String) for name, text in zip(_TEXTS, texts, strict=True)]
    return replace(rows, frame=rows.frame.with_columns(columns).select(ROWS.names))


_TEXTS = ("sequence", "alternate")


def known_shares(rows: ProbeRows) -> NDArray[np.float64]:
    """Return which share of each row's bases is A, C, G or T; rows have their sequences."""
    sequences = (np.frombuffer(text.encode("ascii"), np.uint8) for text in rows.frame["sequence"])
    return np.array([IS_ACGT[sequence].mean() for sequence in sequences], np.float64)
