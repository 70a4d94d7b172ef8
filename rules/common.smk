# Config, cohort sheet and the names that all files of rules/ share. No heavy import belongs here:
# each cluster job parses this file again.

import json
import os
import re
import sys
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.path_modifier import PathModifier


def package_root():
    """Return the folder that holds workflow_scripts/ and config/schemas/.

    Where Snakemake read this file from a disk, that is the checkout. A workflow that is imported
    from a git host or a web server has no checkout: Snakemake's source cache holds what
    `workflow.source_path` was asked for, so every file of package.txt is.
    """
    here = workflow.current_basedir.get_path_or_uri(secret_free=True)
    if "://" not in here:
        return Path(here).resolve().parent
    names = Path(workflow.source_path("package.txt")).read_text("utf-8").split("\n")
    files = {
        name: Path(workflow.source_path(f"../{name}"))
        for name in names
        if name and not name.startswith("#")
    }
    name, file = next(iter(files.items()))
    root = file.parents[name.count("/")]
    if any(root / name != file for name, file in files.items()):
        raise WorkflowError(
            f"varlm cannot be imported from {here}: Snakemake's cache has its files by other names "
            f"(such as {file}); import it from a folder, a git host or a web server "
            "(docs/deployment.md)"
        )
    return root


ROOT = package_root()
VARLM = str(ROOT / "workflow_scripts")
if VARLM not in sys.path:
    sys.path.insert(0, VARLM)

from varlm.errors import UserError
from varlm.run.cohort_sheet import load_cohorts
from varlm.run.config import load_config
from varlm.run.config_keys import (
    LOOP,
    REGIONS_COHORT,
    SHEET_LABELS,
    addresses,
    is_address,
    label_tables,
    labels_of,
    window_of,
)
from varlm.run.fingerprint import fingerprint

# Whether another workflow imports this one. Its rules may make the files that the config names.
IS_MODULE = workflow.modifier.parent_modifier is not None

try:
    CONFIG = load_config(config, ROOT / "config/schemas/config.schema.yaml")
    REGIONS = CONFIG["regions"]
    SATURATED = [] if REGIONS is None else [REGIONS_COHORT]
    COHORTS = (
        load_cohorts(Path(CONFIG["cohorts"]), SATURATED, must_exist=not IS_MODULE)
        if CONFIG["cohorts"]
        else {}
    )
except UserError as error:
    raise WorkflowError(str(error)) from None


def stored_elsewhere():
    """Return each input's address → the storage object by which Snakemake fetches it."""
    objects, errors = {}, []
    for key, address in addresses(CONFIG, COHORTS):
        if "@" in address.split("/")[2]:
            errors.append(
                f"{key}: the address holds a user name or password, which would be in logs and "
                "reports; give them as docs/deployment.md says (Remote inputs)"
            )
            continue
        try:
            objects[address] = storage(address)
        except WorkflowError as error:
            scheme = address.partition(":")[0]
            errors.append(
                f"{key}: {address} cannot be fetched: no storage plugin of Snakemake takes "
                f"{scheme}:// ({str(error).splitlines()[0]}); use a path, https:// or s3://, "
                "or install a plugin for it (snakemake-storage-plugin-…)"
            )
    if errors:
        listed = "\n".join(f"  - {line}" for line in errors)
        raise WorkflowError(f"{len(errors)} inputs that cannot be fetched:\n{listed}")
    return objects


ADDRESSES = stored_elsewhere()

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
# `prefix:` and `replace_prefix:` of a module move the results, and nothing else: inputs and the
# store stay where the config says. From here on no path is modified any more, or Snakemake would
# prefix the paths of `expand(rules.x.output.y)` twice, and those in params never.
RESULTS = CONFIG["results"].rstrip("/") + os.sep
RESULTS = workflow.modifier.path_modifier.replace_prefix(RESULTS).rstrip(os.sep)
workflow.modifier.path_modifier = PathModifier(None, None, workflow)
STORE = CONFIG["store"].rstrip("/")

# Models to train; a model of MODELS that is one of them lies where its training puts it.
TRAIN = CONFIG["train"]
for model in MODELS.values():
    if model["train"] is not None:
        model["path"] = f"{RESULTS}/training/{model['train']}/checkpoint"

# `python` in the rules is the one that runs Snakemake, also where its environment is not
# activated; a conda environment of --software-deployment-method goes before it.
os.environ.update(
    PATH=os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()]),
    VARLM=VARLM,
    VARLM_SNAKEMAKE=str(os.getpid()),  # a step ends when this process does
    PYTHONUTF8="1",  # whatever the locale
)

if workflow.is_main_process:
    # For plan, in the environment: as params they would make the plan anew with other --cores.
    os.environ.update(
        VARLM_JOBS=str(workflow.resource_settings.nodes or 1),
        VARLM_SCORING_THREADS=str(SCORING_THREADS),
        **({"VARLM_GPUS": str(AT_ONCE)} if AT_ONCE and GPU else {}),
    )

    from varlm.run.snakemake_process import watch_over

    if told := watch_over(Path(".snakemake")):
        logger.warning(told)


def flags(name, values):
    """Return [name, value, name, value, …] of the values that are set, for `{params.x:q}`."""
    return [
        str(item) for value in values if value is not None for item in (name, value)
    ]


def pairs(mapping):
    """Return a config mapping as NAME=VALUE, for `flags`."""
    return [f"{name}={value}" for name, value in mapping.items()]


def named(mapping, files):
    """Return NAME=FILE of a config mapping whose values lie in `files` on this machine."""
    return pairs(dict(zip(mapping, files, strict=True)))


def made_here(path):
    """Whether the workflow that imports this one has a rule for the file."""
    return IS_MODULE and any(each.is_producer(path) for each in workflow.rules)


@cache
def located(path):
    """Return an input as rules take it: a path as it is, a storage object for an address.

    A command gets where the file lies on this machine, from `input`. That it exists is checked
    here, since Snakemake would go on with old results where an input is missing, also under a
    wrong name that was written just now; and only by the process that plans the run, since the
    nodes of a cluster may reach nothing outside.
    """
    file = ADDRESSES.get(path, path)
    if not workflow.is_main_process:
        return file
    try:
        if file is path:
            found = Path(path).exists() or made_here(path)
        else:
            found = file.flags["storage_object"].exists()
    except Exception as error:  # of whichever library the storage plugin uses
        raise WorkflowError(f"{path}: cannot be looked up ({error})") from error
    if not found:
        where = (
            f"relative to {Path.cwd()}"
            if file is path
            else "the server has no such file"
        )
        raise WorkflowError(
            f"{path}: input not found ({where}); check config and cohort sheet"
        )
    return file


def inputs(*paths):
    """Return an input function for inputs that the config names; None is left out."""
    return lambda wildcards: [located(path) for path in paths if path is not None]


def vcfs(wildcards):
    """Return the VCF files of a cohort."""
    return [located(file.vcf) for file in COHORTS[wildcards.cohort]]


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


def area_flags():
    """Return where to score every SNV, but for a BED file, as options of the step saturate."""
    if REGIONS is None:
        return []
    everywhere = REGIONS["contigs"] == "all"
    return [
        *(
            ["--all-contigs"]
            if everywhere
            else flags("--contig", REGIONS["contigs"] or [])
        ),
        *(flags("--sample", [REGIONS["sample"]])),
        *(flags("--seed", [REGIONS["seed"]]) if REGIONS["sample"] else []),
    ]


def shown_settings():
    """Return the config for the reports, without what addresses have after "?": maybe a token."""
    text = json.dumps(CONFIG, sort_keys=True)
    for address in ADDRESSES:
        text = text.replace(address, re.sub(r"\?.*", "?…", address))
    return text


def label_files(cohort):
    """Return label → its TSV, of the labels that have one for a cohort."""
    return label_tables(CONFIG["evaluate"], COHORTS.get(cohort, []))


def evaluate_settings(cohort):
    """Return the config's `evaluate` as the step takes it; where tables lie is told by itself.

    A label whose table the sheet names is none of a cohort for which it names none.
    """
    settings = CONFIG["evaluate"] or {}
    tables = label_files(cohort)
    labels = {
        name: {key: value for key, value in label.items() if key != "table"}
        for name, label in settings.get("labels", {}).items()
        if label["table"] is None or name in tables
    }
    return json.dumps({**settings, "labels": labels}, sort_keys=True)


def fingerprints(*paths):
    """Return what the content of these files is known by, for a rule's params.

    Only files that are here before the run have a content to know them by. What another rule
    makes and what lies elsewhere is known by its time, as Snakemake does it: their content would
    be "absent" in one run, and something else in the next.
    """

    def known_by(path):
        if is_address(path):
            return path
        if made_here(path):
            return "made by a rule"
        return fingerprint(path)

    return [known_by(path) for path in paths if path is not None]


def local_checkpoint_files(folder):
    """Return the files of a checkpoint folder; none for a hub id."""
    kinds = {".json", ".safetensors", ".bin"}
    files = Path(folder).glob("*")
    return sorted(str(p) for p in files if p.suffix in kinds and p.is_file())


def checkpoint_files(wildcards):
    """Return the files of a local checkpoint, so that a changed one is noticed; none for a hub id.

    Those of one that is trained here are made by the rule train.
    """
    name = MODELS[wildcards.model]["train"]
    if name is not None:
        return [f"{RESULTS}/training/{name}/checkpoint/{file}" for file in CHECKPOINT]
    return local_checkpoint_files(MODELS[wildcards.model]["path"])


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
    shards = range(json.loads((plan / "plan.json").read_text("utf-8"))["shards"])
    return [
        f"{RESULTS}/scores/{wildcards.model}/{shard}/{file}"
        for shard in shards
        for file in ("sites.parquet", "alleles.parquet", "run.json")
    ]


# What a checkpoint that is trained here consists of.
CHECKPOINT = [
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
]


def genome_files(kind):
    """Return an input function: the FASTA or annotation files of a training's genomes."""
    return lambda wildcards: [
        located(files[kind])
        for files in TRAIN[wildcards.training]["genomes"].values()
        if files[kind] is not None
    ]


def named_genomes(kind):
    """Return a params function: NAME=FILE of each genome that has such a file, as options."""

    def options(wildcards, input):
        named = [
            name
            for name, files in TRAIN[wildcards.training]["genomes"].items()
            if files[kind] is not None
        ]
        flag = {"fasta": "--genome", "annotation": "--annotation"}[kind]
        files = input.fasta if kind == "fasta" else input.annotation
        return flags(flag, [f"{n}={f}" for n, f in zip(named, files, strict=True)])

    return options


def start_folder(training):
    """Return the checkpoint folder that a training starts from, or None."""
    start = TRAIN[training]["start"]
    return f"{RESULTS}/training/{start}/checkpoint" if start in TRAIN else start


def start_files(wildcards):
    """Return the files of the checkpoint that a training starts from, so that it waits for them."""
    folder = start_folder(wildcards.training)
    if folder is None:
        return []
    if TRAIN[wildcards.training]["start"] in TRAIN:
        return [f"{folder}/{file}" for file in CHECKPOINT]
    files = local_checkpoint_files(folder)
    if not files and not IS_MODULE:
        raise WorkflowError(
            f"train.{wildcards.training}.start: found {folder!r}, which is no folder of a "
            f"checkpoint (relative to {Path.cwd()}) and none of the key train "
            f"({', '.join(TRAIN)}); correct it"
        )
    return files


def start_content(wildcards):
    """Return what the checkpoint that a training starts from is known by, if no rule makes it."""
    if TRAIN[wildcards.training]["start"] in TRAIN:
        return []
    return fingerprints(*start_files(wildcards))


def loop_settings(wildcards):
    """Return how a model is trained, as the step takes it."""
    block = TRAIN[wildcards.training]
    windows = block["windows"]
    return json.dumps(
        {
            **{name: block[name] for name in LOOP},
            "micro_batch": min(block["micro_batch"], block["batch_size"]),
            "jitter": (windows["stride"] or windows["length"] // 2) // 2,
        }
    )
