"""What a bigWig file tells of alleles: the mean of its values over the bases of REF.

The span of an allele is that of its REF as normalised, 0-based half-open, the anchor base before
an insertion or deletion included.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import polars as pl
import pybigtools
from numpy.typing import NDArray

from varlm.errors import UserError, first_few
from varlm.files.bigwig import ContigValues
from varlm.genome.contig_names import ContigNames
from varlm.tables.parquet import Column

log = logging.getLogger(__name__)

# At both ends of a bigWig, in either byte order (Kent et al. 2010, supplement, table 5).
_SIGNATURES = (bytes.fromhex("26fc8f88"), bytes.fromhex("888ffc26"))
_BIGBED = (bytes.fromhex("ebf28987"), bytes.fromhex("8789f2eb"))
_HEADER = 64  # bytes
# Contigs beyond which pybigtools is not asked for values: each reading copies their list.
MANY = 1000
# A read costs 35 µs whatever it gives, and each base 0.02 µs more (measured on 1-bp intervals,
# 2 cores): reading on over a gap is cheaper than reading again up to so many bases.
_GAP = 1500
_STRETCH = 1 << 21  # bases read at once, give or take a span: the bound on memory, 16 MB

_Ints = NDArray[np.int64]


class BigWigColumns:
    """One column of a bigWig file, NAME: the mean of its values over the bases of REF.

    Parameters
    ----------
    name : str
        Name of the column.
    path : Path
    names : ContigNames
        What the file's contigs are matched through.
    key : str
        The config key that named the file, for messages.

    Raises
    ------
    UserError
        If the file is no bigWig, is truncated, has no contig of the reference, or has one of
        another length (another assembly).

    Notes
    -----
    A base counts as covered where the file has a finite value. Values are float32 in the file;
    their mean is taken in float64, over the span's own bases alone, and rounded to float32: it
    is exact for one base, and depends on nothing but the file and the span.
    """

    def __init__(self, name: str, path: Path, names: ContigNames, key: str):
        self._path = path
        self.columns = columns(name)
        file = _open(path, key)
        weakref.finalize(self, file.close)  # at the latest when the object goes
        try:
            # By its path, pybigtools would go by the suffix.
            self._file = self._call(pybigtools.open, file)
            chroms: dict[str, int] = self._call(self._file.chroms)
            self._chroms = _matched(chroms, path, names, key)
            self._many: ContigValues | None = None
            if len(chroms) > MANY and _little_endian(path):
                self._many = self._call(ContigValues, path)
        except UserError:
            file.close()
            raise

    def series(self, contig: str, start: _Ints, end: _Ints) -> list[pl.Series]:
        """Return the column for spans on a contig.

        Parameters
        ----------
        contig : str
            As named in the reference.
        start, end : numpy.ndarray
            int64, shape (spans,): REF of each allele, 0-based half-open, start < end ≤ the
            contig's length; sorted by start.

        Returns
        -------
        list of polars.Series
            One, Float32, shape (spans,), named as `columns`.

        Raises
        ------
        UserError
            If the file is damaged.
        """
        return self._series(self._means_on(contig, start, end))

    def series_of(
        self, contigs: Sequence[tuple[str, int]], start: _Ints, end: _Ints
    ) -> list[pl.Series]:
        """Return the column for spans on several contigs; as `series`.

        Parameters
        ----------
        contigs : sequence of (contig, spans on it)
        """
        means = np.full(len(start), np.nan)
        at = 0
        for contig, count in contigs:
            if contig in self._chroms:
                rows = slice(at, at + count)
                means[rows] = self._means_on(contig, start[rows], end[rows])
            at += count
        return self._series(means)

    def _series(self, means: NDArray[np.float64]) -> list[pl.Series]:
        return [pl.Series(self.columns[0].name, means, dtype=pl.Float32, nan_to_null=True)]

    def _means_on(self, contig: str, start: _Ints, end: _Ints) -> NDArray[np.float64]:
        means = np.full(len(start), np.nan)
        if contig in self._chroms:
            chrom = self._chroms[contig]
            for rows, first, last in _stretches(start, end):
                values = self._values(chrom, first, last)
                means[rows] = _means(values, start[rows] - first, end[rows] - first)
        return means

    def _values(self, chrom: str, first: int, last: int) -> NDArray[np.float64]:
        """Return the values of the bases [first, last); NaN where there is none."""
        if self._many is not None:
            return np.asarray(self._call(self._many.values, chrom, first, last))
        return np.asarray(self._call(self._file.values, chrom, first, last, fillna=np.nan))

    def _call(self, function: Any, *arguments: Any, **options: Any) -> Any:
        """Call pybigtools; what it raises means that the file is damaged."""
        try:
            return function(*arguments, **options)
        except (KeyboardInterrupt, SystemExit, MemoryError):
            raise
        except BaseException as error:  # a panic of Rust is no Exception
            said = (str(error).splitlines() or [type(error).__name__])[0]
            raise UserError(
                f"{self._path}: damaged bigWig ({said}); copy or make the file again"
            ) from error


def columns(name: str) -> tuple[Column, ...]:
    """Return the column of the bigWig file `name` and what it means."""
    meaning = f"mean of the values of {name} over the bases of REF that have one; null: none has"
    return (Column(name, pl.Float32(), meaning),)


def _open(path: Path, key: str) -> BinaryIO:
    """Open a bigWig, told by its signatures at both ends, whatever its suffix.

    pybigtools reads a file that was cut behind its data without a word.
    """
    try:
        with path.open("rb") as file:
            head = file.read(4)
            size = file.seek(0, 2)
            file.seek(max(0, size - 4))
            tail = file.read()
        opened = path.open("rb")
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); {key} must name a bigWig file"
        ) from error
    if head not in _SIGNATURES:
        kind = "a bigBed" if head in _BIGBED else repr(head)
        opened.close()
        raise UserError(
            f"{path}: not a bigWig (it starts with {kind}); {key} must name a bigWig file: make "
            "one of a bedGraph with bedGraphToBigWig, and give a BED as annotate.intervals"
        )
    if size < _HEADER or tail != head:
        opened.close()
        raise UserError(
            f"{path}: truncated: the signature that ends a bigWig is missing after byte {size}; "
            "copy or make the file again"
        )
    return opened


def _little_endian(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == _SIGNATURES[0]


def _matched(chroms: dict[str, int], path: Path, names: ContigNames, key: str) -> dict[str, str]:
    """Return contig of the reference → contig of the file; their lengths are the same."""
    matched: dict[str, str] = {}
    others: list[str] = []
    declared = dict.fromkeys(chroms)
    for chrom, length in chroms.items():
        match = names.match(chrom, declared)
        contig = match.contig
        if contig is None:
            others.append(chrom)
            continue
        if length != names.lengths[contig]:
            # Mitochondrial genomes go by one name in assemblies that have different ones (hg19).
            if match.how in ("mitochondrion", "plastid"):
                log.warning(
                    "%s: contig %r has %d bp, %r of the reference %d: another sequence; passed "
                    "over",
                    path,
                    chrom,
                    length,
                    contig,
                    names.lengths[contig],
                )
                continue
            raise UserError(
                f"{path}: contig {chrom!r} has {length} bp, but {contig!r} of the reference has "
                f"{names.lengths[contig]}: another assembly; give {key} for this one"
            )
        if contig in matched:
            raise UserError(
                f"{path}: its contigs {matched[contig]!r} and {chrom!r} are both {contig!r} of the "
                "reference; keep one"
            )
        matched[contig] = chrom
    if not matched:
        raise UserError(
            f"{path}: no contig of the reference (it has "
            f"{first_few(map(repr, chroms)) or 'none'}; reference: "
            f"{first_few(map(repr, names.lengths))}); give {key} for this assembly, or "
            f"{names.remedy}"
        )
    if others:
        log.warning(
            "%s: not in the reference, passed over: %s", path, first_few(map(repr, others), 20)
        )
    log.info("%s: %d of the reference's %d contigs", path, len(matched), len(names.lengths))
    return matched


def _stretches(start: _Ints, end: _Ints) -> Iterator[tuple[slice, int, int]]:
    """Yield spans to read at once: their rows, first base, and one past the last, 0-based."""
    if not len(start):
        return
    reach = np.maximum.accumulate(end)
    new = np.flatnonzero(start[1:] > reach[:-1] + _GAP) + 1
    for low, high in zip([0, *new.tolist()], [*new.tolist(), len(start)], strict=True):
        at = low
        while at < high:
            first = int(start[at])
            to = at + max(1, int(np.searchsorted(start[at:high], first + _STRETCH)))
            yield slice(at, to), first, int(end[at:to].max())
            at = to


def _means(values: NDArray[np.float64], start: _Ints, end: _Ints) -> NDArray[np.float64]:
    """Return the mean of the finite values in each span; NaN where there is none.

    Sums over each span by itself: differences of a running sum would depend, in the last digit,
    on where the stretch begins.
    """
    means = values[start]
    several = end - start > 1
    if several.any():
        bounds = np.column_stack((start[several], end[several])).ravel()
        covered = np.isfinite(values)
        sums = np.add.reduceat(np.append(np.where(covered, values, 0.0), 0.0), bounds)[::2]
        counts = np.add.reduceat(np.append(covered, False).astype(np.int64), bounds)[::2]
        means[several] = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
    return np.where(np.isfinite(means), means, np.nan)
