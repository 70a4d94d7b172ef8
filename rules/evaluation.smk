# Requires: a cohort's annotated.parquet, {results}/reference/, the config's evaluate, tables of labels
# Produces: {results}/cohorts/{cohort}/evaluation.tsv, evaluation.json, figures/evaluation.png, .svg


rule evaluate:
    input:
        annotated=rules.annotate.output.annotated,
        digest=rules.annotate.output.digest,
        accounting=f"{RESULTS}/cohorts/{{cohort}}/accounting.json",
        contigs=rules.index_reference.output.contigs,
        genome=rules.index_reference.output.genome,
        labels=lambda wildcards: [
            located(file) for file in label_files(wildcards.cohort).values()
        ],
        stored=stored,
    output:
        table=f"{RESULTS}/cohorts/{{cohort}}/evaluation.tsv",
        summary=f"{RESULTS}/cohorts/{{cohort}}/evaluation.json",
        figure=report(
            f"{RESULTS}/cohorts/{{cohort}}/figures/evaluation.png",
            caption="captions/evaluation.rst",
            category="Figures",
            subcategory="{cohort}",
            labels={"cohort": "{cohort}", "figure": "Evaluation"},
        ),
        svg=f"{RESULTS}/cohorts/{{cohort}}/figures/evaluation.svg",
    log:
        f"{RESULTS}/logs/evaluate/{{cohort}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluate/{{cohort}}.tsv"
    conda:
        "../envs/tables.yaml"
    params:
        reference=subpath(input.contigs, parent=True),
        models=flags("--model", MODELS),
        labels=lambda wildcards, input: flags(
            "--labels", named(label_files(wildcards.cohort), input.labels)
        ),
        content=lambda wildcards: fingerprints(*label_files(wildcards.cohort).values()),
        # A function, since Snakemake takes the braces of a plain text for wildcards.
        settings=lambda wildcards: evaluate_settings(wildcards.cohort),
        figures=f"{RESULTS}/cohorts/{{cohort}}/figures",
    shell:
        """
        python "$VARLM" evaluate \
            --annotated {input.annotated:q} \
            --accounting {input.accounting:q} \
            --reference {params.reference:q} \
            --cohort {wildcards.cohort:q} \
            {params.models:q} \
            --settings {params.settings:q} \
            {params.labels:q} \
            --table {output.table:q} \
            --summary {output.summary:q} \
            --figures {params.figures:q} \
            2>{log:q}
        """
