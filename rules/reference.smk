# Requires: reference.fasta, reference.annotation where it may tell of circular contigs
# Produces: {results}/reference/: encoded genome, contig lengths and sequence digests, circular.json


rule index_reference:
    input:
        fasta=inputs(CONFIG["reference"]["fasta"]),
    output:
        genome=f"{RESULTS}/reference/genome.fa",
        fai=f"{RESULTS}/reference/genome.fa.fai",
        contigs=f"{RESULTS}/reference/contigs.parquet",
        summary=f"{RESULTS}/reference/reference.json",
    log:
        f"{RESULTS}/logs/index_reference.log",
    benchmark:
        f"{RESULTS}/benchmarks/index_reference.tsv"
    conda:
        "../envs/tables.yaml"
    params:
        reference=subpath(output.genome, parent=True),
        content=lambda wildcards: fingerprints(CONFIG["reference"]["fasta"]),
    shell:
        """
        python "$VARLM" index_reference \
            --fasta {input.fasta:q} \
            --reference {params.reference:q} \
            2>{log:q}
        """


CIRCULAR = CONFIG["reference"]["circular"]
CIRCULAR_BY = CONFIG["reference"]["annotation"] if CIRCULAR == "auto" else None


# A second or two, less than a scheduler would let it wait.
rule find_circular:
    input:
        contigs=rules.index_reference.output.contigs,
        annotation=inputs(CIRCULAR_BY),
        aliases=inputs(CONFIG["reference"]["aliases"]),
    output:
        circular=CIRCULAR_CONTIGS,
    log:
        f"{RESULTS}/logs/find_circular.log",
    benchmark:
        f"{RESULTS}/benchmarks/find_circular.tsv"
    localrule: True
    conda:
        "../envs/tables.yaml"
    params:
        reference=subpath(output.circular, parent=True),
        content=lambda wildcards: fingerprints(
            CIRCULAR_BY, CONFIG["reference"]["aliases"]
        ),
        annotation=lambda wildcards, input: flags("--annotation", input.annotation),
        aliases=lambda wildcards, input: flags("--aliases", input.aliases),
        # A function, since Snakemake takes the braces of a plain text for wildcards.
        named=lambda wildcards: flags(
            "--contig", [] if CIRCULAR in ("auto", "none") else CIRCULAR
        ),
    shell:
        """
        python "$VARLM" find_circular \
            --reference {params.reference:q} \
            {params.annotation:q} \
            {params.aliases:q} \
            {params.named:q} \
            2>{log:q}
        """
