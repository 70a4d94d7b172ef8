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

# Where Snakemake read this file from: a folder, or a git host or web server.
HERE = workflow.current_basedir
REMOTE = "://" in HERE.get_path_or_uri(secret_free=True)
# The files that varlm needs of the checkout, relative to it.
PACKAGE = [
    line
    for line in Path(workflow.source_path("package.txt"))
    .read_text("utf-8")
    .splitlines()
    if line and not line.startswith("#")
]


def package_root():
    """Return the folder that holds workflow_scripts/ and config/schemas/.

    Where Snakemake read this file from a disk, that is the checkout. A workflow that is imported
    from a git host or a web server has no checkout: Snakemake's source cache holds what
    `workflow.source_path` was asked for, so every file of package.txt is, but for those of
    resources/, which a config may name (`shipped_folder`).
    """
    origin = HERE.get_path_or_uri(secret_free=True)
    if not REMOTE:
        return Path(origin).resolve().parent
    files = {
        name: Path(workflow.source_path(f"../{name}"))
        for name in PACKAGE
        if not name.startswith("resources/")
    }
    name, file = next(iter(files.items()))
    root = file.parents[name.count("/")]
    if any(root / name != file for name, file in files.items()):
        raise WorkflowError(
            f"varlm cannot be imported from {origin}: Snakemake's cache has its files by other "
            f"names (such as {file}); import it from a folder, a git host or a web server "
            "(docs/deployment.md)"
        )
    return root


ROOT = package_root()
VARLM = str(ROOT / "workflow_scripts")
if VARLM not in sys.path:
    sys.path.insert(0, VARLM)

from varlm import __version__
from varlm.errors import UserError
from varlm.run import checkpoint_folders, environment, step_settings
from varlm.run.config_keys import REGIONS_COHORT, label_tables
from varlm.run.dense_models import may_be_dense, prepared_dense
from varlm.run.fingerprint import fingerprints as known_by
from varlm.run.index_kind import index_kind
from varlm.run.inputs import (
    addresses,
    file_problem,
    inputs_beside_vcfs,
    keys_of,
    read_late,
    storage_objects,
)
from varlm.run.loading import load_run
from varlm.run.model_settings import (
    PUBLISHED,
    indels_of,
    prepare_flags,
    strands_of,
    window_of,
)
from varlm.run.probes import embed_settings, passed_over, probe_settings, probed_models
from varlm.run.score_files import table_files
from varlm.run.options import (
    area_flags,
    element_flags,
    expected_flags,
    flags,
    genome_flags,
    genomes_with,
    kept_flags,
    located_flags,
    named,
    pairs,
    share_flags,
)
from varlm.run.shipped import Shipped, copy
from varlm.run.step_warnings import (
    Configured,
    log_times,
    shown_at_the_end,
    step_warnings,
)


def shipped_content(name):
    """Return the bytes of a file on the git host or web server that varlm is imported from.

    Snakemake's source cache takes files of a git host as text, and fails on weights (9.27).
    """
    file = HERE.join(f"../{name}")
    if not hasattr(file, "hosted_repo"):
        return Path(workflow.source_path(f"../{name}")).read_bytes()
    return file.hosted_repo.repo.commit(file.ref).tree[file.path].data_stream.read()


def shipped_folder(names):
    """Return the folder that holds files of resources/ which the config names.

    Without a checkout they are copied into the working directory: the source cache has another
    path in every run, where varlm comes from a branch or a web server.
    """
    if not REMOTE:
        return ROOT
    copies = Path(".snakemake/varlm")
    return copy(names, shipped_content, copies) if workflow.is_main_process else copies


# Whether another workflow imports this one. Its rules may make the files that the config names.
IS_MODULE = workflow.modifier.parent_modifier is not None

SHIPPED = Shipped(PACKAGE, shipped_folder)

try:
    CONFIG, COHORTS = load_run(
        config,
        ROOT / "config/schemas/config.schema.yaml",
        SHIPPED,
        look=workflow.is_main_process and not IS_MODULE,
    )
except UserError as error:
    raise WorkflowError(str(error)) from None

REGIONS = CONFIG["regions"]
SATURATED = [] if REGIONS is None else [REGIONS_COHORT]
# What names each input, for messages.
KEYS = keys_of(CONFIG, COHORTS)
# What steps after the scoring read, which is looked at before it.
READ_LATE = read_late(CONFIG, COHORTS)


# Each input's address → the storage object by which Snakemake fetches it.
try:
    ADDRESSES = storage_objects(addresses(CONFIG, COHORTS), storage, WorkflowError)
except UserError as error:
    raise WorkflowError(str(error)) from None

# Every cohort of the results, and those whose sites the tracks show.
ALL_COHORTS = [*COHORTS, *SATURATED]
DRAWN_COHORTS = {"auto": SATURATED, "all": ALL_COHORTS, "none": []}[CONFIG["tracks"]]
DRAWN_COHORTS = DRAWN_COHORTS if CONFIG["models"] else []
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
GPU = step_settings.gpus_of_a_job(CONFIG["scoring"]["device"])
AT_ONCE = GPU and getattr(workflow.global_resources.get("gpu"), "value", None)
SCORING_THREADS = step_settings.threads_of_a_job(CORES, AT_ONCE)

MODELS = CONFIG["models"]
# Tables of published scores, and those of them that have percentiles.
TABLES = CONFIG["annotate"]["scores"]
RANKED = step_settings.ranked_tables(CONFIG)
# `prefix:` and `replace_prefix:` of a module move the results, and nothing else: inputs and the
# store stay where the config says. From here on no path is modified any more, or Snakemake would
# prefix the paths of `expand(rules.x.output.y)` twice, and those in params never.
RESULTS = CONFIG["results"].rstrip("/") + os.sep
RESULTS = workflow.modifier.path_modifier.replace_prefix(RESULTS).rstrip(os.sep)
workflow.modifier.path_modifier = PathModifier(None, None, workflow)
STORE = CONFIG["store"].rstrip("/")
CIRCULAR_CONTIGS = f"{RESULTS}/reference/circular.json"

# Models to train; a model of MODELS that is one of them lies where its training puts it.
TRAIN = CONFIG["train"]
for model in MODELS.values():
    if model["train"] is not None:
        model["path"] = checkpoint_folders.trained_folder(RESULTS, model["train"])

# The suffix of the results' indexes. Where the FASTA may be made by another workflow's rule, it
# must not depend on whether it is there yet: each job's process must find the same.
INDEX = (
    "tbi"
    if IS_MODULE or CONFIG["reference"]["fasta"] in ADDRESSES
    else index_kind(CONFIG["reference"]["fasta"], Path(RESULTS, "reference"))
)

os.environ.update(environment.for_steps(VARLM, sys.executable, INDEX))

if workflow.is_main_process:
    jobs = workflow.resource_settings.nodes or 1
    os.environ.update(environment.for_plan(jobs, SCORING_THREADS, AT_ONCE))

    from varlm.run.snakemake_process import watch_over

    if warning := watch_over(Path(".snakemake")):
        logger.warning(warning)


# When each log was written that is here before the run.
LOGS_BEFORE = log_times(Path(RESULTS, "logs")) if workflow.is_main_process else {}


def tell_warnings():
    """Write what the steps warned of as a table, and list it on the terminal."""
    from varlm.run.warnings_table import write_warnings

    steps = step_settings.steps_of(CONFIG)
    configured = Configured(steps, ALL_COHORTS, MODELS, TRAIN, TABLES, PROBED)
    warnings = step_warnings(Path(RESULTS), configured)
    table = f"{RESULTS}/warnings.tsv"
    try:
        write_warnings(warnings, Path(table))
    except (OSError, UserError) as error:  # no reason for a run to have failed
        logger.warning(f"{table}: cannot be written ({error})")
    times = log_times(Path(RESULTS, "logs"))
    is_new = {log: time != LOGS_BEFORE.get(log) for log, time in times.items()}
    if text := shown_at_the_end(warnings, is_new, table):
        logger.warning(text)


# Snakemake runs the handlers of the importing workflow only (9.27); what it declares itself stands.
if IS_MODULE and workflow.is_main_process:
    from varlm.run.snakemake_process import at_the_end

    at_the_end(workflow, tell_warnings)


def made_here(path):
    """Whether the workflow that imports this one has a rule for the file."""
    return IS_MODULE and any(rule.is_producer(path) for rule in workflow.rules)


@cache
def located(path):
    """Return an input as rules take it: a path as it is, a storage object for an address.

    A command gets where the file lies on this machine, from `input`. That it exists is checked
    here where `load_run` could not, since Snakemake would go on with old results where an input is
    missing, also under a wrong name that was written just now; and only by the process that plans
    the run, since the nodes of a cluster may reach nothing outside.
    """
    file = ADDRESSES.get(path, path)
    if not workflow.is_main_process:
        return file
    if file is path:
        if unusable(path):
            raise WorkflowError("\n".join(filter(None, map(unusable, KEYS))))
        return file
    try:
        exists = file.flags["storage_object"].exists()
    except Exception as error:  # of whichever library the storage plugin uses
        raise WorkflowError(
            f"{KEYS[path]}: {path}: cannot be looked up ({error})"
        ) from error
    if not exists:
        raise WorkflowError(
            f"{KEYS[path]}: {path}: input not found (the server has no such file); correct it"
        )
    return file


def unusable(path):
    """Return why an input on a disk cannot be read, with its key; None if it can, or will be."""
    problem = None if made_here(path) else file_problem(path)
    return problem and f"{KEYS[path]}: {problem}"


def inputs(*paths):
    """Return an input function for inputs that the config names; None is left out."""
    return lambda wildcards: [located(path) for path in paths if path is not None]


def vcfs(wildcards):
    """Return the VCF files of a cohort."""
    return [located(file.vcf) for file in COHORTS[wildcards.cohort]]


def beside(kind):
    """Return an input function: a table beside a cohort's variants, none where none is wanted."""

    def files(wildcards):
        is_asked_for = {
            "consequences": CONFIG["reference"]["annotation"],
            "info": CONFIG["annotate"]["info"] and wildcards.cohort in COHORTS,
        }[kind]
        path = f"{RESULTS}/cohorts/{wildcards.cohort}/{kind}.parquet"
        return [path, f"{path}.sha256"] if is_asked_for else []

    return files


def score_files(name):
    """Return an input function: the files of a table of published scores, with their indexes."""
    return [located(path) for path in table_files(TABLES[name]["path"])]


def table_content(name):
    """Return what a table of published scores is known by: its files, and what is taken of it.

    Snakemake 9.27 compares no params that are made of `input`, as the table that the step gets is.
    """
    paths = (*table_files(TABLES[name]["path"]), CONFIG["reference"]["aliases"])
    return [*fingerprints(*paths), step_settings.shown_table(CONFIG, name)]


def joined(wildcards):
    """Return what was looked up in tables of published scores for a cohort's alleles."""
    paths = expand(
        f"{RESULTS}/cohorts/{wildcards.cohort}/scores/{{table}}.parquet", table=TABLES
    )
    return [*paths, *(f"{path}.sha256" for path in paths), *ranks()]


def joined_flags(cohort):
    """Return that as options of the step annotate; nothing where there are no tables."""
    return [
        *flags("--score-table", step_settings.shown_tables(CONFIG)),
        *flags(
            "--scores",
            expand(
                f"{RESULTS}/cohorts/{cohort}/scores/{{table}}.parquet", table=TABLES
            ),
        ),
        *flags("--ranks", named(RANKED, ranks())),
    ]


def ranks():
    """Return the background's scores of the tables that have percentiles."""
    return expand(f"{RESULTS}/background/scores/{{table}}.parquet", table=RANKED)


def records(cohorts):
    """Return what was matched of each table of scores, for some cohorts."""
    return expand(
        f"{RESULTS}/cohorts/{{cohort}}/scores/{{table}}.json",
        cohort=cohorts,
        table=TABLES,
    )


def shown_settings():
    """Return the config for the reports."""
    return step_settings.shown_settings(CONFIG, ADDRESSES)


def label_files(cohort):
    """Return label → its TSV, of the labels that have one for a cohort."""
    return label_tables(CONFIG["evaluate"], COHORTS.get(cohort, []))


def evaluate_settings(cohort):
    """Return the config's `evaluate` as the step takes it."""
    return step_settings.evaluate_settings(CONFIG["evaluate"], COHORTS.get(cohort, []))


def fingerprints(*paths):
    """Return what the content of these files is known by, for a rule's params."""
    return known_by(paths, made_here)


def checkpoint_files(wildcards):
    """Return the files of a local checkpoint, so that a changed one is noticed; none for a hub id.

    Those of one that is trained here are made by the rule train.
    """
    model = MODELS[wildcards.model]
    if model["train"] is not None:
        return checkpoint_folders.trained_files(RESULTS, model["train"])
    return checkpoint_folders.files_of(model["path"])


def checked(wildcards):
    """Return what says that the inputs of later steps were looked at: the plan waits for it.

    A plan that is there is not made anew by it (`ancient`). Below an ancient input that is to be made
    anew, Snakemake 9.27 looks at nothing else, and would pass over a model that has no plan yet.
    """
    path = str(
        rules.check_inputs.output.checked
    )  # a text: `ancient` marks what it is given
    is_planned = Path(f"{RESULTS}/plan/{wildcards.model}/plan.json").is_file()
    return ancient(path) if is_planned else path


def stored(wildcards):
    """Wait until what was planned is in the store; return the list of circular contigs, if any.

    The commit's file as an input would make the tables of every cohort anew whenever a cohort is
    added. `ancient` is no way out: Snakemake 9.27 then also passes over inputs that did change.
    Every rule below the commit takes it, or Snakemake runs it for what it thought before. A contig
    has other scores once it is called circular; where none is, an input that says so would make
    the tables of older results anew for nothing. Without models there is nothing to wait for.
    """
    if not MODELS:
        return []
    for model in [wildcards.model] if "model" in wildcards.keys() else MODELS:
        checkpoints.commit.get(model=model)
    listed = Path(CIRCULAR_CONTIGS)
    is_empty = listed.exists() and not json.loads(listed.read_text("utf-8"))["contigs"]
    return [] if is_empty else [CIRCULAR_CONTIGS]


def context_tables(models):
    """Return what the backgrounds of models have in each mutation context, if that is asked for."""
    if CONFIG["annotate"]["calibrate"] is None:
        return []
    return [f"{RESULTS}/background/context/{model}.parquet" for model in models]


def calibrations(cohorts):
    """Return what says how many SNVs of cohorts were calibrated, if that is asked for."""
    if CONFIG["annotate"]["calibrate"] is None:
        return []
    return [f"{RESULTS}/cohorts/{cohort}/calibration.json" for cohort in cohorts]


def dense_scales(wildcards):
    """Return what brings dense scores to the scale of masked ones: of a model, or of all.

    None of models whose scores are others. What nothing told of a hub's model before the run is
    read in what prepare_model wrote, which is there once its scores are in the store.
    """
    scales = []
    for model in [wildcards.model] if "model" in wildcards.keys() else MODELS:
        is_dense = may_be_dense(CONFIG, MODELS[model])
        if is_dense is None:
            checkpoints.commit.get(model=model)
            is_dense = prepared_dense(Path(f"{RESULTS}/models/{model}.json"))
        scales += [f"{RESULTS}/dense/{model}.json"] if is_dense else []
    return scales


def corruption_content(wildcards):
    """Return what is known of the file that says how a model's training hid bases, if it is here.

    That of a model that is trained here is not, before the run.
    """
    path = MODELS[wildcards.model]["path"]
    file = Path(path, checkpoint_folders.CORRUPTION)
    is_here = MODELS[wildcards.model]["train"] is None and file.is_file()
    return fingerprints(str(file)) if is_here else []


def dense_sites(model):
    """Return as an option of the plan how many sites are scored both ways, if any."""
    is_masked_alone = may_be_dense(CONFIG, MODELS[model]) is False
    sites = CONFIG["scoring"]["dense"]["sites"]
    return [] if is_masked_alone else flags("--dense-sites", [sites])


def planned_scores(wildcards):
    """Return the scores of every shard that the model's plan made."""
    plan = Path(checkpoints.plan.get(model=wildcards.model).output.plan)
    shards = range(json.loads((plan / "plan.json").read_text("utf-8"))["shards"])
    return [
        f"{RESULTS}/scores/{wildcards.model}/{shard}/{file}"
        for shard in shards
        for file in ("sites.parquet", "alleles.parquet", "run.json")
    ]


def genome_files(kind):
    """Return an input function: the FASTA or annotation files of a training's genomes."""
    return lambda wildcards: [
        located(file) for file in genomes_with(TRAIN[wildcards.training], kind).values()
    ]


def named_genomes(kind):
    """Return a params function: NAME=FILE of each genome that has such a file, as options."""
    return lambda wildcards, input: genome_flags(
        TRAIN[wildcards.training], kind, getattr(input, kind)
    )


def start_folder(training):
    """Return the checkpoint folder that a training starts from, or None."""
    return checkpoint_folders.start_folder(TRAIN, training, RESULTS)


def start_files(wildcards):
    """Return the files of the checkpoint that a training starts from, so that it waits for them."""
    start = TRAIN[wildcards.training]["start"]
    if start in TRAIN:
        return checkpoint_folders.trained_files(RESULTS, start)
    return [] if start is None else checkpoint_folders.files_of(start)


def start_content(wildcards):
    """Return what the checkpoint that a training starts from is known by, if no rule makes it."""
    if TRAIN[wildcards.training]["start"] in TRAIN:
        return []
    return fingerprints(*start_files(wildcards))


def element_file(key):
    """Return an input function: a file that a training's `elements` names, or nothing."""
    return lambda wildcards: [
        located(file)
        for file in [TRAIN[wildcards.training]["elements"][key]]
        if file is not None
    ]


def element_genome(wildcards):
    """Return the FASTA that a training's elements are of; without one, the encoded reference."""
    named_fasta = element_file("fasta")(wildcards)
    reference = f"{RESULTS}/reference"
    return named_fasta or [f"{reference}/genome.fa", f"{reference}/contigs.parquet"]


def element_aliases(wildcards):
    """Return the reference's file of aliases, where a training's elements are of the reference."""
    is_other = TRAIN[wildcards.training]["elements"]["fasta"] is not None
    return [] if is_other else inputs(CONFIG["reference"]["aliases"])(wildcards)


def embedded(wildcards, file):
    """Return a file that embed writes, of each model of a probe."""
    folder = f"{RESULTS}/probes/{wildcards.probe}/embeddings"
    return [f"{folder}/{model}/{file}" for model in PROBED[wildcards.probe]]


def loop_settings(wildcards):
    """Return how a model is trained, as the step takes it."""
    return step_settings.loop_settings(TRAIN[wildcards.training])
