# Config, cohort sheet and the names that all files of rules/ share. No heavy import belongs here:
# each cluster job parses this file again.

import os
import re
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

# The checkout: the folder above this file's.
ROOT = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).resolve().parent
VARLM = str(ROOT / "workflow_scripts")
if VARLM not in sys.path:
    sys.path.insert(0, VARLM)

from varlm.config import load_cohorts, load_config
from varlm.errors import UserError

try:
    CONFIG = load_config(config, ROOT / "config/schemas/config.schema.yaml")
    COHORTS = load_cohorts(Path(CONFIG["cohorts"]))
except UserError as error:
    raise WorkflowError(str(error)) from None

MODELS = CONFIG["models"]
RESULTS = CONFIG["results"].rstrip("/")
STORE = CONFIG["store"].rstrip("/")

# `python` in the rules is the one that runs Snakemake, also where its environment is not
# activated; a conda environment of --software-deployment-method goes before it.
os.environ.update(
    PATH=os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()]),
    VARLM=VARLM,
)


def flags(name, values):
    """Return [name, value, name, value, …] of the values that are set, for `{params.x:q}`."""
    return [
        str(item) for value in values if value is not None for item in (name, value)
    ]


def checkpoint_files(wildcards):
    """Return the files of a local checkpoint, so that a changed one is noticed; none for a hub id."""
    folder = Path(MODELS[wildcards.model]["path"])
    kinds = {".json", ".safetensors", ".bin"}
    return sorted(str(p) for p in folder.glob("*") if p.suffix in kinds and p.is_file())


def planned_scores(wildcards):
    """Return the scores of every shard that the model's plan made."""
    plan = Path(checkpoints.plan.get(model=wildcards.model).output.plan)
    shards = sorted(int(p.stem) for p in plan.glob("shards/*.parquet"))
    return [
        f"{RESULTS}/scores/{wildcards.model}/{shard}/{kind}.parquet"
        for shard in shards
        for kind in ("sites", "alleles")
    ]
