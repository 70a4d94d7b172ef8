# Requires: the variants.parquet of the cohorts whose sites are drawn (config key tracks), the store
# Produces: {results}/tracks/{model}/*.bw, and beside them what UCSC, IGV and JBrowse open


rule draw_tracks:
    input:
        stored=stored,
        model=rules.prepare_model.output.model,
        contigs=rules.index_reference.output.contigs,
        variants=expand(
            f"{RESULTS}/cohorts/{{cohort}}/variants.parquet", cohort=DRAWN_COHORTS
        ),
        digests=expand(
            f"{RESULTS}/cohorts/{{cohort}}/variants.parquet.sha256",
            cohort=DRAWN_COHORTS,
        ),
        dense=dense_scales,
    output:
        tracks=directory(f"{RESULTS}/tracks/{{model}}"),
    log:
        f"{RESULTS}/logs/draw_tracks/{{model}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/draw_tracks/{{model}}.tsv"
    conda:
        "../envs/tables.yaml"
    threads: 2
    params:
        reference=subpath(input.contigs, parent=True),
        store=STORE,
        variants=lambda wildcards, input: [
            *flags("--variants", input.variants),
            *flags("--dense", input.dense),
        ],
    shell:
        """
        python "$VARLM" draw_tracks \
            --model {input.model:q} \
            --reference {params.reference:q} \
            --store {params.store:q} \
            {params.variants:q} \
            --threads {threads} \
            --tracks {output.tracks:q} \
            2>{log:q}
        """


rule build_hub:
    input:
        tracks=expand(rules.draw_tracks.output.tracks, model=MODELS),
        models=expand(rules.prepare_model.output.model, model=MODELS),
        contigs=rules.index_reference.output.contigs,
    output:
        ucsc=f"{RESULTS}/tracks/hub.txt",
        igv=f"{RESULTS}/tracks/igv_session.xml",
        jbrowse=f"{RESULTS}/tracks/config.json",
        readme=f"{RESULTS}/tracks/README.txt",
    log:
        f"{RESULTS}/logs/build_hub.log",
    benchmark:
        f"{RESULTS}/benchmarks/build_hub.tsv"
    conda:
        "../envs/tables.yaml"
    params:
        reference=subpath(input.contigs, parent=True),
        models=lambda wildcards, input: flags("--model", input.models),
        folder=subpath(output.readme, parent=True),
        assembly=flags("--genome", [CONFIG["reference"]["assembly"]]),
    shell:
        """
        python "$VARLM" build_hub \
            {params.models:q} \
            --reference {params.reference:q} \
            {params.assembly:q} \
            --tracks {params.folder:q} \
            2>{log:q}
        """
