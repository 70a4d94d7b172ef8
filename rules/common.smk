# Config, cohort sheet and the names that all files of rules/ share. No heavy import belongs here:
# each cluster job parses this file again.

import json
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

from varlm.config import REGIONS_COHORT, load_cohorts, load_config
from varlm.errors import UserError
from varlm.fingerprint import fingerprint

try:
    CONFIG = load_config(config, ROOT / "config/schemas/config.schema.yaml")
    REGIONS = CONFIG["regions"]
    SATURATED = [] if REGIONS is None else [REGIONS_COHORT]
    COHORTS = (
        load_cohorts(Path(CONFIG["cohorts"]), SATURATED) if CONFIG["cohorts"] else {}
    )
except UserError as error:
    raise WorkflowError(str(error)) from None

# Every cohort of the results, and those whose sites the tracks show.
ALL_COHORTS = [*COHORTS, *SATURATED]
DRAWN_COHORTS = {"auto": SATURATED, "all": ALL_COHORTS, "none": []}[CONFIG["tracks"]]
# What the wildcard may be where a VCF is needed and where there is none: "(?!)" matches nothing,
# where an empty pattern would be no constraint.
VCF_COHORTS = "|".join(map(re.escape, COHORTS)) or "(?!)"
REGIONS_COHORTS = "|".join(SATURATED) or "(?!)"

# What --cores gives; `snakemake --report` and --lint start without it.
try:
    CORES = workflow.cores or 1
except WorkflowError:
    CORES = 1

# Jobs that score ask for one GPU each where there may be one, and share the cores where
# --resources gpu=N says how many of them run at once.
GPU = 0 if CONFIG["scoring"]["device"] in ("cpu", "mps") else 1
AT_ONCE = getattr(workflow.global_resources.get("gpu"), "value", None)
SCORING_THREADS = max(1, CORES // AT_ONCE) if AT_ONCE and GPU else CORES

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


def pairs(mapping):
    """Return a config mapping as NAME=VALUE, for `flags`."""
    return [f"{name}={value}" for name, value in mapping.items()]


def beside(kind):
    """Return an input function: a table beside a cohort's variants, none where none is wanted."""

    def files(wildcards):
        wanted = {
            "consequences": CONFIG["reference"]["annotation"],
            "info": CONFIG["annotate"]["info"] and wildcards.cohort in COHORTS,
        }[kind]
        path = f"{RESULTS}/cohorts/{wildcards.cohort}/{kind}.parquet"
        return [path, f"{path}.sha256"] if wanted else []

    return files


def track_files():
    """Return the files over the genome that alleles are looked up in."""
    return [
        *CONFIG["annotate"]["intervals"].values(),
        *CONFIG["annotate"]["bigwigs"].values(),
    ]


def area_flags():
    """Return where to score every SNV, as options of the step saturate."""
    if REGIONS is None:
        return []
    everywhere = REGIONS["contigs"] == "all"
    return [
        *flags("--bed", [REGIONS["bed"]]),
        *(
            ["--all-contigs"]
            if everywhere
            else flags("--contig", REGIONS["contigs"] or [])
        ),
        *(flags("--sample", [REGIONS["sample"]])),
        *(flags("--seed", [REGIONS["seed"]]) if REGIONS["sample"] else []),
    ]


def fingerprints(paths):
    """Return what the content of these files is known by, for a rule's params."""
    return [fingerprint(str(path)) for path in paths]


def checkpoint_files(wildcards):
    """Return the files of a local checkpoint, so that a changed one is noticed; none for a hub id."""
    folder = Path(MODELS[wildcards.model]["path"])
    kinds = {".json", ".safetensors", ".bin"}
    return sorted(str(p) for p in folder.glob("*") if p.suffix in kinds and p.is_file())


def stored(wildcards):
    """Wait until what was planned is in the store; return no file.

    The commit's file as an input would make the tables of every cohort anew whenever a cohort is
    added. `ancient` is no way out: Snakemake 9.27 then also passes over inputs that did change.
    Every rule below the commit takes it, or Snakemake runs it for what it thought before.
    """
    for model in [wildcards.model] if "model" in wildcards.keys() else MODELS:
        checkpoints.commit.get(model=model)
    return []


def planned_scores(wildcards):
    """Return the scores of every shard that the model's plan made."""
    plan = Path(checkpoints.plan.get(model=wildcards.model).output.plan)
    shards = range(json.loads((plan / "plan.json").read_text())["shards"])
    return [
        f"{RESULTS}/scores/{wildcards.model}/{shard}/{file}"
        for shard in shards
        for file in ("sites.parquet", "alleles.parquet", "run.json")
    ]
