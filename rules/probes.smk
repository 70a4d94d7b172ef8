# Requires: the tables of the config key probe, {results}/reference/, the checkpoints
# Produces: {results}/probes/{probe}/embeddings/{model}/: rows.parquet, embeddings.json, parts;
#           predictions.parquet, fits.json, probe.tsv, probe.json, probe.html, figures/

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


# Networks and regressions over folds of chromosomes: of the embeddings, and of the sequence alone.
rule probe:
    input:
        records=lambda wildcards: embedded(wildcards, "embeddings.json"),
        rows=lambda wildcards: embedded(wildcards, "rows.parquet"),
    output:
        predictions=f"{RESULTS}/probes/{{probe}}/predictions.parquet",
        fits=f"{RESULTS}/probes/{{probe}}/fits.json",
    log:
        f"{RESULTS}/logs/probe/{{probe}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/probe/{{probe}}.tsv"
    conda:
        "../envs/torch_statistics.yaml"
    threads: SCORING_THREADS
    resources:
        gpu=lambda wildcards: (
            GPU if "cnn" in CONFIG["probe"][wildcards.probe]["probes"] else 0
        ),
    params:
        embeddings=lambda wildcards, input: flags(
            "--embeddings",
            [
                f"{model}={Path(record).parent}"
                for model, record in zip(PROBED[wildcards.probe], input.records)
            ],
        ),
        # A function, since Snakemake takes the braces of a plain text for wildcards.
        settings=lambda wildcards: probe_settings(CONFIG, wildcards.probe),
        device=CONFIG["scoring"]["device"],
    shell:
        """
        python "$VARLM" probe \
            --name {wildcards.probe:q} \
            {params.embeddings:q} \
            --settings {params.settings:q} \
            --device {params.device:q} \
            --threads {threads} \
            --predictions {output.predictions:q} \
            --fits {output.fits:q} \
            2>{log:q}
        """


rule describe_probe:
    input:
        predictions=rules.probe.output.predictions,
        fits=rules.probe.output.fits,
        vega=f"{RESULTS}/scripts/vega.js",
    output:
        table=f"{RESULTS}/probes/{{probe}}/probe.tsv",
        summary=f"{RESULTS}/probes/{{probe}}/probe.json",
        page=report(
            f"{RESULTS}/probes/{{probe}}/probe.html",
            caption="captions/probe.rst",
            category="Reports",
            labels={"probe": "{probe}"},
        ),
        figure=report(
            f"{RESULTS}/probes/{{probe}}/figures/probe.png",
            caption="captions/probe.rst",
            category="Figures",
            subcategory="{probe}",
            labels={"probe": "{probe}", "figure": "Probes"},
        ),
        svg=f"{RESULTS}/probes/{{probe}}/figures/probe.svg",
    log:
        f"{RESULTS}/logs/describe_probe/{{probe}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/describe_probe/{{probe}}.tsv"
    conda:
        "../envs/tables.yaml"
    params:
        bootstrap=lambda wildcards: CONFIG["probe"][wildcards.probe]["bootstrap"],
        seed=lambda wildcards: CONFIG["probe"][wildcards.probe]["seed"],
        figures=subpath(output.figure, parent=True),
    shell:
        """
        python "$VARLM" describe_probe \
            --predictions {input.predictions:q} \
            --fits {input.fits:q} \
            --bootstrap {params.bootstrap:q} \
            --seed {params.seed:q} \
            --vega {input.vega:q} \
            --table {output.table:q} \
            --summary {output.summary:q} \
            --page {output.page:q} \
            --figures {params.figures:q} \
            2>{log:q}
        """
