"""Runs of the step evaluate."""

from __future__ import annotations

import json

from varlm.cli import main


def step(folder, settings, *more, cohort="cohort"):
    out = folder / "out"
    arguments = ["evaluate", "--annotated", folder / "annotated.parquet"]
    arguments += ["--accounting", folder / "accounting.json", "--cohort", cohort]
    arguments += ["--reference", folder / "reference"]
    arguments += ["--model", "gpn", "--model", "other", "--settings", json.dumps(settings), *more]
    arguments += ["--table", out / "evaluation.tsv", "--summary", out / "evaluation.json"]
    return main([*map(str, arguments), "--figures", str(out / "figures")])
