# Requires: reference.fasta
# Produces: {results}/reference/: encoded genome, contig lengths and sequence digests


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
