"""All probes of one table: those of each model's embeddings, and those that read sequence alone."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varlm.errors import UserError
from varlm.probing import kmers
from varlm.probing.folds import Folds, check_classes
from varlm.probing.linear import Floats, method, predict_linear
from varlm.probing.parts import Embeddings, Positions
from varlm.probing.record import CNN, GC, KMERS, ONE_HOT, FitRecord

log = logging.getLogger("varlm")

LINEAR = "linear"
FEWEST_ROWS = 30
_SAME = ("row", "label", "fold", "sequence", "alternate")


@dataclass(frozen=True)
class ProbeSettings:
    """How embeddings are probed.

    Attributes
    ----------
    classes : bool
        Whether labels are 0 and 1, else numbers.
    probes : sequence of str
        `linear`, `cnn`.
    folds_at_most : int
        Into so many folds chromosomes are put together.
    kmers : int
        The longest k-mers that are counted.
    cnn : mapping
        Fields of `cnn.Settings`.
    seed : int
        Of the networks' first weights and the order of rows.
    """

    classes: bool
    probes: Sequence[str] = (LINEAR, CNN)
    folds_at_most: int = 8
    kmers: int = 4
    cnn: Mapping[str, Any] | None = None
    seed: int = 0


@dataclass(frozen=True)
class Probed:
    """What the probes say of each row, and how they came about.

    Attributes
    ----------
    folds : Folds
    fits : list of FitRecord
    predictions : list of numpy.ndarray
        Of each probe, shape (rows,).
    """

    folds: Folds
    fits: list[FitRecord]
    predictions: list[Floats]


def same_rows(embeddings: Mapping[str, Embeddings]) -> pl.DataFrame:
    """Return the rows that all models' embeddings are of.

    Raises
    ------
    UserError
        If they differ: a table or a setting changed between two steps.
    """
    (first, embedded), *others = embeddings.items()
    for name, other in others:
        if not other.rows.select(_SAME).equals(embedded.rows.select(_SAME)):
            raise UserError(
                f"{other.folder}: the embeddings of {name} are of other rows than those of "
                f"{first}; delete {other.folder} and {embedded.folder} and run the workflow again"
            )
    return embedded.rows


def run_probes(
    embeddings: Mapping[str, Embeddings], settings: ProbeSettings, device: str = "cpu"
) -> Probed:
    """Fit all probes and predict each row by models that did not see its fold.

    Parameters
    ----------
    embeddings : mapping
        Model → its embeddings.
    settings : ProbeSettings
    device : str
        Where networks are fitted, as torch names it.

    Raises
    ------
    UserError
        If there are too few rows, chromosomes or rows of a class.
    """
    rows = same_rows(embeddings)
    if rows.height < FEWEST_ROWS:
        raise UserError(
            f"{rows.height} rows have embeddings, and at least {FEWEST_ROWS} are needed for a probe"
        )
    folds = Folds.of(rows["fold"].to_list(), settings.folds_at_most)
    label = rows["label"].to_numpy()
    if settings.classes:
        check_classes(label == 1, folds)
    codes = sequence_codes(rows)
    fits, predictions = [], []
    for planned in _planned(embeddings, codes, settings):
        log.info("%s, %s: %s", planned.input, planned.features, planned.method)
        started = time.monotonic()
        predicted, chosen = planned.fit(label, folds, device)
        seconds = time.monotonic() - started
        predictions.append(predicted)
        fits.append(planned.record(round(seconds, 2), chosen))
        log.info("fitted in %.0f s", seconds)
    return Probed(folds, fits, predictions)


def sequence_codes(rows: pl.DataFrame) -> list[NDArray[np.uint8]]:
    """Return the codes of the sequences, of variants also of those with ALT."""
    alleles = ["sequence", "alternate"] if rows["alternate"].null_count() == 0 else ["sequence"]
    return [kmers.base_codes(rows[allele].to_list()) for allele in alleles]


_Fit = Callable[[Floats, Folds, str], tuple[Floats, tuple[float, ...]]]


@dataclass(frozen=True)
class _Planned:
    """A probe that is to be fitted."""

    input: str
    features: str
    method: str
    model: bool
    fit: _Fit

    def record(self, seconds: float, chosen: tuple[float, ...]) -> FitRecord:
        column = "_".join((self.input, self.features, self.method))
        return FitRecord(
            column=column,
            input=self.input,
            features=self.features,
            method=self.method,
            model=self.model,
            seconds=seconds,
            chosen=chosen,
        )


def _planned(
    embeddings: Mapping[str, Embeddings],
    codes: Sequence[NDArray[np.uint8]],
    settings: ProbeSettings,
) -> Iterator[_Planned]:
    """Yield the probes: of each model, then of the sequence alone."""
    regression = method(settings.classes)
    for name, embedded in embeddings.items():
        stored = embedded.record.positions
        if CNN in settings.probes and stored == "all":
            yield _Planned(name, "positions", CNN, True, _network_of(embedded, settings))
        pooled: tuple[Positions, ...] = ("mean", "centre") if stored == "all" else (stored,)
        for positions in pooled if LINEAR in settings.probes else ():
            fit = _linear(lambda e=embedded, p=positions: _pooled(e, p), settings)  # type: ignore[misc]
            yield _Planned(name, positions, regression, True, fit)
    if CNN in settings.probes:
        yield _Planned(ONE_HOT, "positions", CNN, False, _network_of(codes, settings))
    counted = _linear(lambda: _counted(codes, settings), settings)
    yield _Planned(KMERS, "counts", regression, False, counted)
    shares = _linear(lambda: kmers.of_alleles([kmers.gc_share(of) for of in codes]), settings)
    yield _Planned(GC, "share", regression, False, shares)


def _pooled(embedded: Embeddings, positions: Positions) -> Floats:
    """Return the vector of each row; of variants [ref, alt − ref]."""
    values = embedded.features(positions).astype(np.float64)
    return kmers.of_alleles([*values]) if embedded.record.variants else values


def _counted(codes: Sequence[NDArray[np.uint8]], settings: ProbeSettings) -> Floats:
    return kmers.of_alleles([kmers.kmer_counts(of, settings.kmers) for of in codes])


def _linear(features: Callable[[], Floats], settings: ProbeSettings) -> _Fit:
    def fit(label: Floats, folds: Folds, _: str) -> tuple[Floats, tuple[float, ...]]:
        fitted = predict_linear(features(), label, folds, classes=settings.classes)
        return fitted.predictions, fitted.penalties

    return fit


def _network_of(read: Embeddings | Sequence[NDArray[np.uint8]], settings: ProbeSettings) -> _Fit:
    def fit(label: Floats, folds: Folds, device: str) -> tuple[Floats, tuple[float, ...]]:
        from varlm.probing import cnn  # torch: only where a network is fitted

        inputs = cnn.Embedded(read) if isinstance(read, Embeddings) else cnn.OneHot(read)
        width = cnn.Settings(**(settings.cnn or {}))
        fitted = cnn.predict_cnn(
            inputs,
            label,
            folds,
            width,
            classes=settings.classes,
            seed=settings.seed,
            device=device,
        )
        return fitted.predictions, tuple(map(float, fitted.epochs))

    return fit
