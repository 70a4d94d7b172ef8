# Requires: the cohort sheet and its VCFs, {results}/reference/
# Produces: {results}/cohorts/{cohort}/variants.parquet, rejected.tsv.gz, accounting.json


rule normalise:
    input:
        vcf=lambda wildcards: [file.vcf for file in COHORTS[wildcards.cohort]],
        contigs=rules.index_reference.output.contigs,
        genome=rules.index_reference.output.genome,
        aliases=CONFIG["reference"]["aliases"] or [],
        regions=CONFIG["normalise"]["regions"] or [],
    output:
        variants=f"{RESULTS}/cohorts/{{cohort}}/variants.parquet",
        rejected=f"{RESULTS}/cohorts/{{cohort}}/rejected.tsv.gz",
        accounting=f"{RESULTS}/cohorts/{{cohort}}/accounting.json",
    log:
        f"{RESULTS}/logs/normalise/{{cohort}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/normalise/{{cohort}}.tsv"
    conda:
        "../envs/tables.yaml"
    params:
        reference=subpath(input.contigs, parent=True),
        vcf=lambda wildcards: flags(
            "--vcf", [file.vcf for file in COHORTS[wildcards.cohort]]
        ),
        expected=lambda wildcards: [
            flag
            for index, file in enumerate(COHORTS[wildcards.cohort])
            for flag in (
                *flags(
                    "--expect-records", [file.records and f"{index}:{file.records}"]
                ),
                *flags("--expect-sha256", [file.sha256 and f"{index}:{file.sha256}"]),
            )
        ],
        options=[
            *flags("--aliases", [CONFIG["reference"]["aliases"]]),
            *flags("--regions", [CONFIG["normalise"]["regions"]]),
            *flags("--min-af", [CONFIG["normalise"]["min_af"]]),
            *flags("--max-af", [CONFIG["normalise"]["max_af"]]),
        ],
        filter=CONFIG["normalise"]["filter"],
        max_allele_length=CONFIG["normalise"]["max_allele_length"],
        on_ref_mismatch=CONFIG["normalise"]["on_ref_mismatch"],
        max_ref_mismatch=CONFIG["normalise"]["max_ref_mismatch"],
        indels=CONFIG["scoring"]["indels"],
    shell:
        """
        python "$VARLM" normalise \
            --cohort {wildcards.cohort:q} \
            {params.vcf:q} \
            {params.expected:q} \
            --reference {params.reference:q} \
            --filter {params.filter:q} \
            --max-allele-length {params.max_allele_length:q} \
            --on-ref-mismatch {params.on_ref_mismatch:q} \
            --max-ref-mismatch {params.max_ref_mismatch:q} \
            --indels {params.indels:q} \
            {params.options:q} \
            --variants {output.variants:q} \
            --rejected {output.rejected:q} \
            --accounting {output.accounting:q} \
            2>{log:q}
        """
