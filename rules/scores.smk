# Requires: {results}/reference/, every cohort's variants.parquet, the checkpoints, the store
# Produces: rows in the store, {results}/commits/{model}.json, {results}/background/{model}.parquet,
#           {results}/background/context/{model}.parquet, {results}/dense/{model}.json


# The only rule that uses the network, where a model comes from the hub and is not in its cache: it
# runs where Snakemake does, since the nodes of many clusters reach nothing outside.
rule prepare_model:
    input:
        checkpoint_files,
    output:
        model=f"{RESULTS}/models/{{model}}.json",
    log:
        f"{RESULTS}/logs/prepare_model/{{model}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/prepare_model/{{model}}.tsv"
    localrule: True
    conda:
        "../envs/torch.yaml"
    params:
        path=lambda wildcards: MODELS[wildcards.model]["path"],
        content=lambda wildcards: (
            "trained"
            if MODELS[wildcards.model]["train"]
            else fingerprints(*checkpoint_files(wildcards))
        ),
        revision=lambda wildcards: flags(
            "--revision", [MODELS[wildcards.model]["revision"]]
        ),
        window=lambda wildcards: (
            window_of(CONFIG, MODELS[wildcards.model]) or PUBLISHED
        ),
        strands=lambda wildcards: (
            strands_of(CONFIG, MODELS[wildcards.model]) or PUBLISHED
        ),
        settings=lambda wildcards: prepare_flags(MODELS[wildcards.model]),
        precision=CONFIG["scoring"]["precision"],
    shell:
        """
        python "$VARLM" prepare_model \
            --name {wildcards.model:q} \
            --path {params.path:q} \
            {params.revision:q} \
            --window {params.window:q} \
            --strands {params.strands:q} \
            {params.settings:q} \
            --precision {params.precision:q} \
            --model {output.model:q} \
            2>{log:q}
        """


# How many shards there are is known only when the store was asked: a checkpoint.
checkpoint plan:
    input:
        model=rules.prepare_model.output.model,
        contigs=rules.index_reference.output.contigs,
        circular=rules.find_circular.output.circular,
        variants=expand(
            f"{RESULTS}/cohorts/{{cohort}}/variants.parquet", cohort=ALL_COHORTS
        ),
        digests=expand(
            f"{RESULTS}/cohorts/{{cohort}}/variants.parquet.sha256", cohort=ALL_COHORTS
        ),
        checked=checked,
    output:
        plan=directory(f"{RESULTS}/plan/{{model}}"),
    log:
        f"{RESULTS}/logs/plan/{{model}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/plan/{{model}}.tsv"
    conda:
        "../envs/tables.yaml"
    params:
        reference=subpath(input.contigs, parent=True),
        cohorts=flags("--cohort", ALL_COHORTS),
        # (Options of dense models are in words that depend on inputs: a command that has another
        # text, or other words of its own, would make what is there anew.)
        variants=lambda wildcards, input: [
            *flags("--variants", input.variants),
            *dense_sites(wildcards.model),
        ],
        store=STORE,
        background_sites=CONFIG["scoring"]["background_sites"],
        sites_per_shard=CONFIG["shards"]["sites_per_shard"],
        minutes=CONFIG["shards"]["minutes"],
        device=CONFIG["scoring"]["device"],
        committed=f"{RESULTS}/commits/{{model}}.json",
    shell:
        """
        python "$VARLM" plan \
            --model {input.model:q} \
            --reference {params.reference:q} \
            --store {params.store:q} \
            {params.cohorts:q} \
            {params.variants:q} \
            --background-sites {params.background_sites:q} \
            --sites-per-shard {params.sites_per_shard:q} \
            --minutes {params.minutes:q} \
            --device {params.device:q} \
            --committed {params.committed:q} \
            --plan {output.plan:q} \
            2>{log:q}
        """


rule score:
    input:
        plan=f"{RESULTS}/plan/{{model}}",
        model=rules.prepare_model.output.model,
        genome=rules.index_reference.output.genome,
    output:
        sites=temp(f"{RESULTS}/scores/{{model}}/{{shard}}/sites.parquet"),
        alleles=temp(f"{RESULTS}/scores/{{model}}/{{shard}}/alleles.parquet"),
        run=temp(f"{RESULTS}/scores/{{model}}/{{shard}}/run.json"),
    log:
        f"{RESULTS}/logs/score/{{model}}/{{shard}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/score/{{model}}/{{shard}}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: SCORING_THREADS
    resources:
        gpu=GPU,
    params:
        shard=lambda wildcards, input: f"{input.plan}/shards/{wildcards.shard}.parquet",
        reference=subpath(input.genome, parent=True),
        device=CONFIG["scoring"]["device"],
        batch_size=CONFIG["scoring"]["batch_size"],
        folder=subpath(output.sites, parent=True),
    shell:
        """
        python "$VARLM" supervise score \
            --shard {params.shard:q} \
            --model {input.model:q} \
            --reference {params.reference:q} \
            --device {params.device:q} \
            --batch-size {params.batch_size:q} \
            --threads {threads} \
            --sites {output.sites:q} \
            --alleles {output.alleles:q} \
            --run {output.run:q} \
            --partial {params.folder:q}/partial \
            2>{log:q}
        """


# A checkpoint too, so that what is made of scores waits for the commit and yet is not out of date
# after it: a commit adds rows and changes none (`stored` in common.smk).
checkpoint commit:
    input:
        scores=planned_scores,
        plan=f"{RESULTS}/plan/{{model}}",
        model=rules.prepare_model.output.model,
        contigs=rules.index_reference.output.contigs,
    output:
        committed=f"{RESULTS}/commits/{{model}}.json",
    log:
        f"{RESULTS}/logs/commit/{{model}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/commit/{{model}}.tsv"
    conda:
        "../envs/tables.yaml"
    params:
        scores=lambda wildcards: f"{RESULTS}/scores/{wildcards.model}",
        store=STORE,
        reference=subpath(input.contigs, parent=True),
    shell:
        """
        python "$VARLM" commit \
            --model {input.model:q} \
            --reference {params.reference:q} \
            --plan {input.plan:q} \
            --scores {params.scores:q} \
            --store {params.store:q} \
            --committed {output.committed:q} \
            2>{log:q}
        """


# Of dense models only: the same sites masked, and what is between the two. Once per model and
# genome; loads the model where the store lacks a site.
rule measure_dense:
    input:
        stored=stored,
        model=rules.prepare_model.output.model,
        genome=rules.index_reference.output.genome,
        annotation=(
            f"{RESULTS}/reference/annotation"
            if CONFIG["reference"]["annotation"]
            else []
        ),
    output:
        scale=f"{RESULTS}/dense/{{model}}.json",
    log:
        f"{RESULTS}/logs/measure_dense/{{model}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/measure_dense/{{model}}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: SCORING_THREADS
    resources:
        gpu=GPU,
    params:
        reference=subpath(input.genome, parent=True),
        store=STORE,
        sites=CONFIG["scoring"]["dense"]["sites"],
        least_spearman=CONFIG["scoring"]["dense"]["least_spearman"],
        annotation=lambda wildcards, input: flags(
            "--annotation", [input.annotation or None]
        ),
        upstream=CONFIG["annotate"]["upstream"],
        content=corruption_content,
        device=CONFIG["scoring"]["device"],
        batch_size=CONFIG["scoring"]["batch_size"],
    shell:
        """
        python "$VARLM" measure_dense \
            --model {input.model:q} \
            --reference {params.reference:q} \
            --store {params.store:q} \
            --sites {params.sites:q} \
            --least-spearman {params.least_spearman:q} \
            {params.annotation:q} \
            --upstream {params.upstream:q} \
            --device {params.device:q} \
            --batch-size {params.batch_size:q} \
            --threads {threads} \
            --scale {output.scale:q} \
            2>{log:q}
        """


# Once per model and genome: what other cohorts commit leaves the background as it is.
rule calibrate:
    input:
        stored=stored,
        dense=dense_scales,
        model=rules.prepare_model.output.model,
        contigs=rules.index_reference.output.contigs,
    output:
        background=f"{RESULTS}/background/{{model}}.parquet",
        contexts=context_tables(["{model}"]),
    log:
        f"{RESULTS}/logs/calibrate/{{model}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/calibrate/{{model}}.tsv"
    conda:
        "../envs/tables.yaml"
    params:
        store=STORE,
        reference=lambda wildcards, input: [
            str(Path(input.contigs).parent),
            *flags("--dense", input.dense),
            *flags("--contexts", context_tables([wildcards.model])),
        ],
        sites=CONFIG["scoring"]["background_sites"],
    shell:
        """
        python "$VARLM" calibrate \
            --model {input.model:q} \
            --reference {params.reference:q} \
            --store {params.store:q} \
            --sites {params.sites:q} \
            --background {output.background:q} \
            2>{log:q}
        """
