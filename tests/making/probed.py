"""Probes that are a label with so much noise, and what is said of them."""

import numpy as np
import polars as pl

from varlm.probing.record import FitRecord, FoldRecord, ProbeRun, predictions_table
from varlm.probing.verdict import judge

ROWS, FOLDS = 400, 4
PROBES = [
    ("gpn", "positions", "cnn", True),
    ("gpn", "mean", "ridge", True),
    ("one-hot", "positions", "cnn", False),
    ("k-mers", "counts", "ridge", False),
]


def run_of(rows=ROWS, probes=PROBES, classes=False, folds_by="chrom", units=None):
    fits = tuple(
        FitRecord(
            column=f"{read}_{features}_{method}",
            input=read,
            features=features,
            method=method,
            model=model,
            seconds=1.5,
            chosen=(1.0,) * FOLDS,
        )
        for read, features, method, model in probes
    )
    folds = tuple(FoldRecord(names=(f"chr{n}",), rows=rows // FOLDS) for n in range(FOLDS))
    return ProbeRun(
        probe="mpra",
        label="logFC",
        classes=classes,
        kind="variants",
        rows=rows,
        length=128,
        positives=rows // 2 if classes else None,
        left_out={"contig_unknown": 3},
        folds_by=folds_by,
        folds=folds,
        fits=fits,
        units=units,
    )


def judged(noises, rows=ROWS, bootstrap=300, classes=False, folds_by="chrom", units=None):
    """Return what is said of probes that are the label with so much noise; None: noise alone.

    `units` are of rows that are resampled together; None: as of a run of before.
    """
    rng = np.random.default_rng(1)
    count = None if units is None else len(set(units))
    run = run_of(rows, PROBES[: len(noises)], classes, folds_by, count)
    label = rng.normal(size=rows)
    columns = {}
    for fit, noise in zip(run.fits, noises, strict=True):
        own = rng.normal(size=rows)
        columns[fit.column] = own if noise is None else label + noise * own
    held = np.arange(rows) % FOLDS
    shown = (label > 0).astype(float) if classes else label
    predictions = pl.DataFrame(
        {
            "row": range(rows),
            "fold": held.astype(str),
            "held_out": held,
            **({} if units is None else {"unit": units}),
            "label": shown,
            **columns,
        },
        schema=predictions_table(list(columns), units=units is not None).schema,
    )
    return run, *judge(run, predictions, bootstrap)
