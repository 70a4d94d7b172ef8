# Requires: the tables of the config key probe, {results}/reference/, the checkpoints
# Produces: {results}/probes/{probe}/embeddings/{model}/: rows.parquet, embeddings.json, parts

# Probe → the models whose embeddings it is of.
PROBED = {name: probed_models(CONFIG, name) for name in CONFIG["probe"]}

if workflow.is_main_process:
    for name in PROBED:
        for model in passed_over(CONFIG, name):
            logger.info(f"probe.{name}: model {model} has no embeddings: left out")


# The parts are no outputs: Snakemake would delete them where the step is stopped, and they are what
# the next run goes on from.
rule embed:
    input:
        table=lambda wildcards: located(CONFIG["probe"][wildcards.probe]["table"]),
        model=rules.prepare_model.output.model,
        genome=rules.index_reference.output.genome,
        circular=rules.find_circular.output.circular,
        aliases=inputs(CONFIG["reference"]["aliases"]),
    output:
        record=f"{RESULTS}/probes/{{probe}}/embeddings/{{model}}/embeddings.json",
        rows=f"{RESULTS}/probes/{{probe}}/embeddings/{{model}}/rows.parquet",
    log:
        f"{RESULTS}/logs/embed/{{probe}}.{{model}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/embed/{{probe}}.{{model}}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: SCORING_THREADS
    resources:
        gpu=GPU,
    params:
        # A function, since Snakemake takes the braces of a plain text for wildcards.
        settings=lambda wildcards: embed_settings(CONFIG, wildcards.probe),
        content=lambda wildcards: fingerprints(
            CONFIG["probe"][wildcards.probe]["table"], CONFIG["reference"]["aliases"]
        ),
        reference=subpath(input.genome, parent=True),
        aliases=lambda wildcards, input: flags("--aliases", input.aliases),
        max_ref_mismatch=CONFIG["normalise"]["max_ref_mismatch"],
        device=CONFIG["scoring"]["device"],
        batch_size=CONFIG["scoring"]["batch_size"],
        folder=subpath(output.record, parent=True),
    shell:
        """
        python "$VARLM" supervise embed \
            --probe {wildcards.probe:q} \
            --table {input.table:q} \
            --settings {params.settings:q} \
            --model {input.model:q} \
            --reference {params.reference:q} \
            {params.aliases:q} \
            --max-ref-mismatch {params.max_ref_mismatch:q} \
            --device {params.device:q} \
            --batch-size {params.batch_size:q} \
            --threads {threads} \
            --embeddings {params.folder:q} \
            2>{log:q}
        """
