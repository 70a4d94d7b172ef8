# Config, cohort sheet and the names that every rule file uses. No heavy import belongs here:
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
os.environ["PATH"] = os.pathsep.join(
    [str(Path(sys.executable).parent), os.environ["PATH"]]
)
os.environ["VARLM"] = VARLM


wildcard_constraints:
    cohort="|".join(map(re.escape, COHORTS)),
    model="|".join(map(re.escape, MODELS)),
    shard=r"\d+",


def flags(name, values):
    """Return [name, value, name, value, …] of the values that are set, for `{params.x:q}`."""
    return [
        str(item) for value in values if value is not None for item in (name, value)
    ]
