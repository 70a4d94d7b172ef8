# Requires: {results}/cohorts/{cohort}/variants.parquet, consequences.parquet, info.parquet and
#           scores/{table}.parquet where wanted, the store, BED and bigWig files, the cohort's VCFs
# Produces: annotated.parquet, calibration.json where wanted; annotated.tsv.gz and
#           annotated.vcf.gz, each + index; summary.tsv


rule annotate:
    input:
        variants=f"{RESULTS}/cohorts/{{cohort}}/variants.parquet",
        digest=f"{RESULTS}/cohorts/{{cohort}}/variants.parquet.sha256",
        contigs=rules.index_reference.output.contigs,
        models=expand(rules.prepare_model.output.model, model=MODELS),
        backgrounds=expand(rules.calibrate.output.background, model=MODELS),
        contexts=context_tables(MODELS),
        consequences=beside("consequences"),
        info=beside("info"),
        scores=joined,
        intervals=inputs(*CONFIG["annotate"]["intervals"].values()),
        bigwigs=inputs(*CONFIG["annotate"]["bigwigs"].values()),
        aliases=inputs(CONFIG["reference"]["aliases"]),
        dense=dense_scales,
        stored=stored,
    output:
        annotated=f"{RESULTS}/cohorts/{{cohort}}/annotated.parquet",
        digest=f"{RESULTS}/cohorts/{{cohort}}/annotated.parquet.sha256",
        calibration=calibrations(["{cohort}"]),
    log:
        f"{RESULTS}/logs/annotate/{{cohort}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/annotate/{{cohort}}.tsv"
    conda:
        "../envs/tables.yaml"
    params:
        reference=subpath(input.contigs, parent=True),
        store=STORE,
        models=lambda wildcards, input: flags("--model", input.models),
        backgrounds=lambda wildcards, input: flags("--background", input.backgrounds),
        names=[*CONFIG["annotate"]["intervals"], *CONFIG["annotate"]["bigwigs"]],
        content=lambda wildcards: fingerprints(
            *CONFIG["annotate"]["intervals"].values(),
            *CONFIG["annotate"]["bigwigs"].values(),
            CONFIG["reference"]["aliases"],
        ),
        beside=lambda wildcards, input: [
            *flags("--consequences", input.consequences[:1]),
            *flags("--info", input.info[:1]),
            *flags("--dense", input.dense),
            *flags("--contexts", input.get("contexts", [])),
            *flags("--calibration", calibrations([wildcards.cohort])),
            *joined_flags(wildcards.cohort),
        ],
        tracks=lambda wildcards, input: [
            *flags(
                "--interval", named(CONFIG["annotate"]["intervals"], input.intervals)
            ),
            *flags("--bigwig", named(CONFIG["annotate"]["bigwigs"], input.bigwigs)),
            *flags("--aliases", input.aliases),
        ],
    shell:
        """
        python "$VARLM" annotate \
            --variants {input.variants:q} \
            --reference {params.reference:q} \
            --store {params.store:q} \
            {params.models:q} \
            {params.backgrounds:q} \
            {params.beside:q} \
            {params.tracks:q} \
            --annotated {output.annotated:q} \
            2>{log:q}
        """


# Each index lies beside its file: .tbi, or .csi where a contig is too long for it (INDEX); the step
# puts it there first, so that the file's existence implies the index's. When a job is over,
# Snakemake gives outputs a new time, in their order: an index comes after its file, or htslib
# warns that it is the older one.
rule export:
    input:
        annotated=rules.annotate.output.annotated,
        digest=rules.annotate.output.digest,
        rejected=rules.normalise.output.rejected,
        accounting=rules.normalise.output.accounting,
        vcf=vcfs,
        contigs=rules.index_reference.output.contigs,
        stored=stored,
    output:
        tsv=f"{RESULTS}/cohorts/{{cohort}}/annotated.tsv.gz",
        vcf=f"{RESULTS}/cohorts/{{cohort}}/annotated.vcf.gz",
        tsv_index=f"{RESULTS}/cohorts/{{cohort}}/annotated.tsv.gz.{INDEX}",
        vcf_index=f"{RESULTS}/cohorts/{{cohort}}/annotated.vcf.gz.{INDEX}",
    log:
        f"{RESULTS}/logs/export/{{cohort}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/export/{{cohort}}.tsv"
    wildcard_constraints:
        cohort=VCF_COHORTS,
    conda:
        "../envs/tables.yaml"
    params:
        reference=subpath(input.contigs, parent=True),
        vcf=lambda wildcards, input: flags("--vcf", input.vcf),
        models=flags("--model", MODELS),
    shell:
        """
        python "$VARLM" export \
            --annotated {input.annotated:q} \
            --rejected {input.rejected:q} \
            --accounting {input.accounting:q} \
            --reference {params.reference:q} \
            {params.vcf:q} \
            {params.models:q} \
            --tsv {output.tsv:q} \
            --out-vcf {output.vcf:q} \
            2>{log:q}
        """


rule summarise:
    input:
        accounting=expand(
            f"{RESULTS}/cohorts/{{cohort}}/accounting.json", cohort=ALL_COHORTS
        ),
        plans=expand(f"{RESULTS}/plan/{{model}}", model=MODELS),
        committed=expand(rules.commit.output.committed, model=MODELS),
        dense=dense_scales,
        records=records(ALL_COHORTS),
        calibrations=calibrations(ALL_COHORTS),
    output:
        summary=f"{RESULTS}/summary.tsv",
    log:
        f"{RESULTS}/logs/summarise.log",
    benchmark:
        f"{RESULTS}/benchmarks/summarise.tsv"
    conda:
        "../envs/tables.yaml"
    params:
        accounting=lambda wildcards, input: flags("--accounting", input.accounting),
        plans=lambda wildcards, input: [
            *flags("--plan", [f"{p}/plan.json" for p in input.plans]),
            *flags("--dense", input.dense),
            *flags(
                "--scores",
                named([c for c in ALL_COHORTS for _ in TABLES], input.records),
            ),
            *flags(
                "--calibration",
                named(ALL_COHORTS if input.calibrations else [], input.calibrations),
            ),
        ],
    shell:
        """
        python "$VARLM" summarise \
            {params.accounting:q} \
            {params.plans:q} \
            --summary {output.summary:q} \
            2>{log:q}
        """


# The only cohort that it takes is `regions`, which has no VCF. The index comes after the TSV, as above.
rule export_regions:
    input:
        annotated=rules.annotate.output.annotated,
        digest=rules.annotate.output.digest,
        stored=stored,
    output:
        tsv=f"{RESULTS}/cohorts/{{cohort}}/annotated.tsv.gz",
        tsv_index=f"{RESULTS}/cohorts/{{cohort}}/annotated.tsv.gz.{INDEX}",
    log:
        f"{RESULTS}/logs/export_regions/{{cohort}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/export_regions/{{cohort}}.tsv"
    wildcard_constraints:
        cohort=REGIONS_COHORTS,
    conda:
        "../envs/tables.yaml"
    params:
        models=flags("--model", MODELS),
    shell:
        """
        python "$VARLM" export_regions \
            --annotated {input.annotated:q} \
            {params.models:q} \
            --tsv {output.tsv:q} \
            2>{log:q}
        """
