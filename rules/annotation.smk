# Requires: reference.annotation, {results}/reference/, each cohort's variants.parquet and VCFs,
#           tables of published scores
# Produces: {results}/reference/annotation/, {results}/cohorts/{cohort}/consequences.parquet,
#           info.parquet, scores/{table}.parquet and .json, {results}/background/scores/{table}.parquet


rule index_annotation:
    input:
        annotation=inputs(CONFIG["reference"]["annotation"]),
        contigs=rules.index_reference.output.contigs,
        aliases=inputs(CONFIG["reference"]["aliases"]),
    output:
        folder=directory(f"{RESULTS}/reference/annotation"),
    log:
        f"{RESULTS}/logs/index_annotation.log",
    benchmark:
        f"{RESULTS}/benchmarks/index_annotation.tsv"
    conda:
        "../envs/tables.yaml"
    params:
        content=lambda wildcards: fingerprints(
            CONFIG["reference"]["annotation"], CONFIG["reference"]["aliases"]
        ),
        reference=subpath(input.contigs, parent=True),
        aliases=lambda wildcards, input: flags("--aliases", input.aliases),
        # A function, since Snakemake takes the braces of a plain text for wildcards.
        codes=lambda wildcards: [
            *flags("--genetic-codes", pairs(CONFIG["annotate"]["genetic_codes"])),
            *flags("--circular", [] if CIRCULAR in ("auto", "none") else CIRCULAR),
        ],
    shell:
        """
        python "$VARLM" index_annotation \
            --annotation {input.annotation:q} \
            --reference {params.reference:q} \
            {params.aliases:q} \
            {params.codes:q} \
            --out {output.folder:q} \
            2>{log:q}
        """


# Needs no scores: it runs beside the scoring.
rule call_consequences:
    input:
        variants=f"{RESULTS}/cohorts/{{cohort}}/variants.parquet",
        digest=f"{RESULTS}/cohorts/{{cohort}}/variants.parquet.sha256",
        annotation=rules.index_annotation.output.folder,
        contigs=rules.index_reference.output.contigs,
    output:
        consequences=f"{RESULTS}/cohorts/{{cohort}}/consequences.parquet",
        digest=f"{RESULTS}/cohorts/{{cohort}}/consequences.parquet.sha256",
    log:
        f"{RESULTS}/logs/call_consequences/{{cohort}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/call_consequences/{{cohort}}.tsv"
    conda:
        "../envs/tables.yaml"
    threads: 2
    params:
        reference=subpath(input.contigs, parent=True),
        upstream=CONFIG["annotate"]["upstream"],
        downstream=CONFIG["annotate"]["downstream"],
    shell:
        """
        python "$VARLM" call_consequences \
            --variants {input.variants:q} \
            --reference {params.reference:q} \
            --annotation {input.annotation:q} \
            --upstream {params.upstream:q} \
            --downstream {params.downstream:q} \
            --consequences {output.consequences:q} \
            2>{log:q}
        """


rule carry_info:
    input:
        variants=f"{RESULTS}/cohorts/{{cohort}}/variants.parquet",
        digest=f"{RESULTS}/cohorts/{{cohort}}/variants.parquet.sha256",
        accounting=f"{RESULTS}/cohorts/{{cohort}}/accounting.json",
        vcf=vcfs,
    output:
        info=f"{RESULTS}/cohorts/{{cohort}}/info.parquet",
        digest=f"{RESULTS}/cohorts/{{cohort}}/info.parquet.sha256",
    log:
        f"{RESULTS}/logs/carry_info/{{cohort}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/carry_info/{{cohort}}.tsv"
    wildcard_constraints:
        cohort=VCF_COHORTS,
    conda:
        "../envs/tables.yaml"
    params:
        vcf=lambda wildcards, input: flags("--vcf", input.vcf),
        fields=flags("--field", CONFIG["annotate"]["info"]),
    shell:
        """
        python "$VARLM" carry_info \
            --variants {input.variants:q} \
            --accounting {input.accounting:q} \
            {params.vcf:q} \
            {params.fields:q} \
            --info {output.info:q} \
            2>{log:q}
        """


# Needs no scores of models: it runs beside the scoring.
rule join_scores:
    input:
        variants=f"{RESULTS}/cohorts/{{cohort}}/variants.parquet",
        digest=f"{RESULTS}/cohorts/{{cohort}}/variants.parquet.sha256",
        contigs=rules.index_reference.output.contigs,
        aliases=inputs(CONFIG["reference"]["aliases"]),
        table=lambda wildcards: score_files(wildcards.table),
    output:
        scores=f"{RESULTS}/cohorts/{{cohort}}/scores/{{table}}.parquet",
        digest=f"{RESULTS}/cohorts/{{cohort}}/scores/{{table}}.parquet.sha256",
        record=f"{RESULTS}/cohorts/{{cohort}}/scores/{{table}}.json",
    log:
        f"{RESULTS}/logs/join_scores/{{cohort}}.{{table}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/join_scores/{{cohort}}.{{table}}.tsv"
    conda:
        "../envs/tables.yaml"
    params:
        content=lambda wildcards: table_content(wildcards.table),
        reference=subpath(input.contigs, parent=True),
        aliases=lambda wildcards, input: flags("--aliases", input.aliases),
        table=lambda wildcards, input: step_settings.joined_table(
            CONFIG, wildcards.table, input.table
        ),
        max_ref_mismatch=CONFIG["normalise"]["max_ref_mismatch"],
    shell:
        """
        python "$VARLM" join_scores \
            --variants {input.variants:q} \
            --reference {params.reference:q} \
            {params.aliases:q} \
            --table {params.table:q} \
            --max-ref-mismatch {params.max_ref_mismatch:q} \
            --scores {output.scores:q} \
            --record {output.record:q} \
            2>{log:q}
        """


# Once per table and genome, as `calibrate` of a model.
rule rank_scores:
    input:
        contigs=rules.index_reference.output.contigs,
        aliases=inputs(CONFIG["reference"]["aliases"]),
        table=lambda wildcards: score_files(wildcards.table),
    output:
        scores=f"{RESULTS}/background/scores/{{table}}.parquet",
        record=f"{RESULTS}/background/scores/{{table}}.json",
    log:
        f"{RESULTS}/logs/rank_scores/{{table}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/rank_scores/{{table}}.tsv"
    conda:
        "../envs/tables.yaml"
    params:
        content=lambda wildcards: table_content(wildcards.table),
        reference=subpath(input.contigs, parent=True),
        aliases=lambda wildcards, input: flags("--aliases", input.aliases),
        table=lambda wildcards, input: step_settings.joined_table(
            CONFIG, wildcards.table, input.table
        ),
        max_ref_mismatch=CONFIG["normalise"]["max_ref_mismatch"],
        sites=CONFIG["scoring"]["background_sites"],
    shell:
        """
        python "$VARLM" rank_scores \
            --reference {params.reference:q} \
            {params.aliases:q} \
            --table {params.table:q} \
            --max-ref-mismatch {params.max_ref_mismatch:q} \
            --sites {params.sites:q} \
            --scores {output.scores:q} \
            --record {output.record:q} \
            2>{log:q}
        """
