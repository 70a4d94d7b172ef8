# Requires: the cohort sheet and its VCFs, the regions to saturate, {results}/reference/
# Produces: {results}/cohorts/{cohort}/variants.parquet, rejected.tsv.gz, accounting.json


rule normalise:
    input:
        vcf=vcfs,
        contigs=rules.index_reference.output.contigs,
        genome=rules.index_reference.output.genome,
        aliases=inputs(CONFIG["reference"]["aliases"]),
        regions=inputs(CONFIG["normalise"]["regions"]),
    output:
        variants=f"{RESULTS}/cohorts/{{cohort}}/variants.parquet",
        digest=f"{RESULTS}/cohorts/{{cohort}}/variants.parquet.sha256",
        rejected=f"{RESULTS}/cohorts/{{cohort}}/rejected.tsv.gz",
        accounting=f"{RESULTS}/cohorts/{{cohort}}/accounting.json",
    log:
        f"{RESULTS}/logs/normalise/{{cohort}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/normalise/{{cohort}}.tsv"
    wildcard_constraints:
        cohort=VCF_COHORTS,
    conda:
        "../envs/tables.yaml"
    params:
        content=lambda wildcards: fingerprints(
            *[file.vcf for file in COHORTS[wildcards.cohort]],
            CONFIG["reference"]["aliases"],
            CONFIG["normalise"]["regions"],
        ),
        reference=subpath(input.contigs, parent=True),
        vcf=lambda wildcards, input: flags("--vcf", input.vcf),
        beds=lambda wildcards, input: [
            *flags("--aliases", input.aliases),
            *flags("--regions", input.regions),
        ],
        expected=lambda wildcards: expected_flags(COHORTS[wildcards.cohort]),
        options=[
            *flags("--min-af", [CONFIG["normalise"]["min_af"]]),
            *flags("--max-af", [CONFIG["normalise"]["max_af"]]),
        ],
        filter=CONFIG["normalise"]["filter"],
        max_allele_length=CONFIG["normalise"]["max_allele_length"],
        on_ref_mismatch=CONFIG["normalise"]["on_ref_mismatch"],
        max_ref_mismatch=CONFIG["normalise"]["max_ref_mismatch"],
        indels=indels_of(CONFIG),
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
            {params.beds:q} \
            {params.options:q} \
            --variants {output.variants:q} \
            --rejected {output.rejected:q} \
            --accounting {output.accounting:q} \
            2>{log:q}
        """


# The only cohort that it makes is `regions`, where the config has that key.
rule saturate:
    input:
        bed=inputs(REGIONS and REGIONS["bed"]),
        contigs=rules.index_reference.output.contigs,
        genome=rules.index_reference.output.genome,
        aliases=inputs(CONFIG["reference"]["aliases"]),
    output:
        variants=f"{RESULTS}/cohorts/{{cohort}}/variants.parquet",
        digest=f"{RESULTS}/cohorts/{{cohort}}/variants.parquet.sha256",
        accounting=f"{RESULTS}/cohorts/{{cohort}}/accounting.json",
    log:
        f"{RESULTS}/logs/saturate/{{cohort}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/saturate/{{cohort}}.tsv"
    wildcard_constraints:
        cohort=REGIONS_COHORTS,
    conda:
        "../envs/tables.yaml"
    params:
        content=lambda wildcards: fingerprints(
            REGIONS["bed"], CONFIG["reference"]["aliases"]
        ),
        reference=subpath(input.contigs, parent=True),
        area=area_flags(REGIONS),
        files=lambda wildcards, input: [
            *flags("--bed", input.bed),
            *flags("--aliases", input.aliases),
        ],
    shell:
        """
        python "$VARLM" saturate \
            --cohort {wildcards.cohort:q} \
            --reference {params.reference:q} \
            {params.area:q} \
            {params.files:q} \
            --variants {output.variants:q} \
            --accounting {output.accounting:q} \
            2>{log:q}
        """
