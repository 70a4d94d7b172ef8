"""varlm: the effect of genetic variants, genome-wide, from DNA language models.

Rules in flow order, one file a stage; each rule runs the step of its name in
workflow_scripts/varlm/steps. See README.md for use and docs/design.md for the design.
"""

from snakemake.utils import min_version

min_version("9.0")

# The demo's config stands in only where the user gives none: a user's config stands alone, and so
# does the `config:` of a workflow that takes this one for a module.
if not workflow.overwrite_configfiles:

    configfile: workflow.source_path("config/config.yaml")


# A workflow that takes this one for a module keeps its own default target, where it has one by now.
BY_DEFAULT = workflow.default_target is None


include: "rules/common.smk"


onstart:
    from varlm.run.snakemake_process import let_signals_in

    let_signals_in(workflow.scheduler)
    # Snakemake 9.27 starts a timer for each job that ends, which starts itself anew every second
    # as long as jobs wait: work that grows with the square of the shards. It serves a limit on
    # submitted jobs, which stays where the user set one.
    limiter = workflow.scheduler.job_rate_limiter
    if limiter and (limiter.max_jobs, limiter.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None


onsuccess:
    tell_warnings()


onerror:
    tell_warnings()


wildcard_constraints:
    training="|".join(map(re.escape, TRAIN)) or "(?!)",
    cohort="|".join(map(re.escape, ALL_COHORTS)),
    model="|".join(map(re.escape, MODELS)) or "(?!)",
    table="|".join(map(re.escape, TABLES)) or "(?!)",
    probe="|".join(map(re.escape, CONFIG["probe"])) or "(?!)",
    shard=r"\d+",


include: "rules/training.smk"
include: "rules/reference.smk"
include: "rules/variants.smk"
include: "rules/checks.smk"
include: "rules/scores.smk"
include: "rules/annotation.smk"
include: "rules/results.smk"
include: "rules/tracks.smk"
include: "rules/evaluation.smk"
include: "rules/probes.smk"
include: "rules/reports.smk"


# Tables and VCFs, without tracks and reports: `snakemake … -- tables`.
rule tables:
    input:
        f"{RESULTS}/summary.tsv",
        expand(
            f"{RESULTS}/cohorts/{{cohort}}/annotated.{{kind}}",
            cohort=ALL_COHORTS,
            kind=["parquet", "tsv.gz", f"tsv.gz.{INDEX}"],
        ),
        expand(
            f"{RESULTS}/cohorts/{{cohort}}/annotated.vcf.gz{{index}}",
            cohort=COHORTS,
            index=["", f".{INDEX}"],
        ),
        # With models the plan waits for it.
        [] if MODELS else f"{RESULTS}/checked_inputs.json",


# The models of the config key train, with their cards: `snakemake … -- trained`.
rule trained:
    input:
        expand(rules.train.output.checkpoint, training=TRAIN),
        expand(rules.describe_training.output, training=TRAIN),


# What embeddings know of the tables of the config key probe: `snakemake … -- probes`.
rule probes:
    input:
        [
            expand(rules.embed.output, probe=probe, model=models)
            for probe, models in PROBED.items()
        ],
        expand(rules.probe.output, probe=PROBED),
        expand(rules.describe_probe.output, probe=PROBED),


rule all:
    default_target: BY_DEFAULT
    input:
        rules.tables.input,
        rules.trained.input,
        rules.probes.input,
        f"{RESULTS}/index.html",
        expand(f"{RESULTS}/cohorts/{{cohort}}/report.html", cohort=ALL_COHORTS),
        (
            []
            if CONFIG["evaluate"] is None
            else expand(rules.evaluate.output, cohort=ALL_COHORTS)
        ),
        expand(f"{RESULTS}/tracks/{{model}}", model=MODELS if DRAWN_COHORTS else []),
        f"{RESULTS}/tracks/README.txt" if DRAWN_COHORTS else [],
