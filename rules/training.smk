# Requires: the genomes of the config key train
# Produces: {results}/training/{training}/: corpus/, checkpoint/, learning_curve.tsv, perplexity.tsv,
#           mutated.tsv, elements.tsv and motifs.tsv, model_card.md, figures


rule prepare_training:
    input:
        fasta=genome_files("fasta"),
        annotation=genome_files("annotation"),
    output:
        bases=f"{RESULTS}/training/{{training}}/corpus/bases.npy",
        windows=f"{RESULTS}/training/{{training}}/corpus/windows.parquet",
        description=f"{RESULTS}/training/{{training}}/corpus/corpus.json",
    log:
        f"{RESULTS}/logs/prepare_training/{{training}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/prepare_training/{{training}}.tsv"
    conda:
        "../envs/tables.yaml"
    params:
        genomes=named_genomes("fasta"),
        annotations=named_genomes("annotation"),
        held_out=lambda wildcards: flags(
            "--held-out", TRAIN[wildcards.training]["held_out"]
        ),
        validation=lambda wildcards: flags(
            "--validation", TRAIN[wildcards.training]["validation"]
        ),
        window=lambda wildcards: TRAIN[wildcards.training]["windows"]["length"],
        stride=lambda wildcards: step_settings.stride(
            TRAIN[wildcards.training]["windows"]
        ),
        promoter=lambda wildcards: TRAIN[wildcards.training]["windows"]["promoter"],
        genic_share=lambda wildcards: flags(
            "--genic-share", [TRAIN[wildcards.training]["windows"]["genic_share"]]
        ),
        # In one list: Snakemake runs a rule again that has one more, be it empty.
        kept=lambda wildcards: [
            *kept_flags(TRAIN[wildcards.training]["windows"]),
            *share_flags(TRAIN[wildcards.training]),
        ],
        content=lambda wildcards: fingerprints(
            *(
                file
                for genome in TRAIN[wildcards.training]["genomes"].values()
                for key, file in genome.items()
                if key != "group"
            )
        ),
        folder=subpath(output.bases, parent=True),
    shell:
        """
        python "$VARLM" prepare_training \
            {params.genomes:q} \
            {params.annotations:q} \
            {params.held_out:q} \
            {params.validation:q} \
            --window {params.window:q} \
            --stride {params.stride:q} \
            --promoter {params.promoter:q} \
            {params.genic_share:q} \
            {params.kept:q} \
            --out {params.folder:q} \
            2>{log:q}
        """


# The state is no output: Snakemake would delete it where a training is stopped, and it is what the
# next run goes on from.
rule train:
    input:
        bases=rules.prepare_training.output.bases,
        windows=rules.prepare_training.output.windows,
        description=rules.prepare_training.output.description,
        start=start_files,
    output:
        checkpoint=expand(
            f"{RESULTS}/training/{{{{training}}}}/checkpoint/{{file}}",
            file=checkpoint_folders.TRAINED,
        ),
        curve=f"{RESULTS}/training/{{training}}/learning_curve.tsv",
    log:
        f"{RESULTS}/logs/train/{{training}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train/{{training}}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: CORES
    resources:
        gpu=lambda wildcards: GPU * TRAIN[wildcards.training]["gpus"],
    params:
        corpus=subpath(input.bases, parent=True),
        model=lambda wildcards: json.dumps(TRAIN[wildcards.training]["model"]),
        settings=loop_settings,
        start=lambda wildcards: flags("--start", [start_folder(wildcards.training)]),
        start_content=start_content,
        state=lambda wildcards, output: f"{Path(output.curve).parent}/state.pt",
        device=CONFIG["scoring"]["device"],
        processes=lambda wildcards: TRAIN[wildcards.training]["gpus"],
        folder=lambda wildcards, output: str(Path(output.checkpoint[0]).parent),
    shell:
        """
        python "$VARLM" train \
            --corpus {params.corpus:q} \
            --model {params.model:q} \
            --settings {params.settings:q} \
            {params.start:q} \
            --state {params.state:q} \
            --device {params.device:q} \
            --threads {threads} \
            --processes {params.processes:q} \
            --out {params.folder:q} \
            --curve {output.curve:q} \
            2>{log:q}
        """


rule measure_perplexity:
    input:
        windows=rules.prepare_training.output.windows,
        checkpoint=rules.train.output.checkpoint,
        others=lambda wildcards: expand(
            rules.train.output.checkpoint,
            training=TRAIN[wildcards.training]["compare"],
        ),
    output:
        table=f"{RESULTS}/training/{{training}}/perplexity.tsv",
        mutated=f"{RESULTS}/training/{{training}}/mutated.tsv",
    log:
        f"{RESULTS}/logs/measure_perplexity/{{training}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/measure_perplexity/{{training}}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: SCORING_THREADS
    resources:
        gpu=GPU,
    params:
        corpus=subpath(input.windows, parent=True),
        checkpoints=lambda wildcards: flags(
            "--checkpoint",
            [
                f"{name}={RESULTS}/training/{name}/checkpoint"
                for name in (
                    wildcards.training,
                    *TRAIN[wildcards.training]["compare"],
                )
            ],
        ),
        which=lambda wildcards: (
            "held_out" if TRAIN[wildcards.training]["held_out"] else "validation"
        ),
        sites=lambda wildcards: TRAIN[wildcards.training]["test_sites"],
        pairs=lambda wildcards: TRAIN[wildcards.training]["mutated"]["pairs"],
        most=lambda wildcards: flags(
            "--most", TRAIN[wildcards.training]["mutated"]["most"]
        ),
        kinds=lambda wildcards: TRAIN[wildcards.training]["mutated"]["kinds"],
        seed=lambda wildcards: TRAIN[wildcards.training]["seed"],
        device=CONFIG["scoring"]["device"],
        batch_size=CONFIG["scoring"]["batch_size"],
    shell:
        """
        python "$VARLM" measure_perplexity \
            --corpus {params.corpus:q} \
            {params.checkpoints:q} \
            --set {params.which:q} \
            --sites {params.sites:q} \
            --pairs {params.pairs:q} \
            {params.most:q} \
            --kinds {params.kinds:q} \
            --seed {params.seed:q} \
            --device {params.device:q} \
            --batch-size {params.batch_size:q} \
            --threads {threads} \
            --out {output.table:q} \
            --mutated {output.mutated:q} \
            2>{log:q}
        """


# Only of trainings with the key elements.
rule measure_elements:
    input:
        checkpoint=rules.train.output.checkpoint,
        others=lambda wildcards: expand(
            rules.train.output.checkpoint,
            training=TRAIN[wildcards.training]["compare"],
        ),
        models=lambda wildcards: expand(
            f"{RESULTS}/models/{{model}}.json",
            model=TRAIN[wildcards.training]["elements"]["models"],
        ),
        genome=element_genome,
        aliases=element_aliases,
        bed=element_file("bed"),
        motifs=element_file("motifs"),
    output:
        elements=f"{RESULTS}/training/{{training}}/elements.tsv",
        motifs=f"{RESULTS}/training/{{training}}/motifs.tsv",
    log:
        f"{RESULTS}/logs/measure_elements/{{training}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/measure_elements/{{training}}.tsv"
    conda:
        "../envs/torch_statistics.yaml"
    threads: SCORING_THREADS
    resources:
        gpu=GPU,
    params:
        checkpoints=lambda wildcards: flags(
            "--checkpoint",
            [
                f"{name}={RESULTS}/training/{name}/checkpoint"
                for name in (
                    wildcards.training,
                    *TRAIN[wildcards.training]["compare"],
                )
            ],
        ),
        models=lambda wildcards, input: flags("--model", input.models),
        genome=lambda wildcards, input: (
            ["--reference", f"{RESULTS}/reference"]
            if TRAIN[wildcards.training]["elements"]["fasta"] is None
            else ["--fasta", input.genome]
        ),
        files=lambda wildcards, input: [
            *flags("--aliases", input.aliases),
            *flags("--bed", input.bed),
            *flags("--motifs", input.motifs),
        ],
        content=lambda wildcards: fingerprints(
            *(
                TRAIN[wildcards.training]["elements"][key]
                for key in ("bed", "motifs", "fasta")
            )
        ),
        settings=lambda wildcards: element_flags(TRAIN[wildcards.training]),
        device=CONFIG["scoring"]["device"],
        batch_size=CONFIG["scoring"]["batch_size"],
    shell:
        """
        python "$VARLM" measure_elements \
            {params.checkpoints:q} \
            {params.models:q} \
            {params.genome:q} \
            {params.files:q} \
            {params.settings:q} \
            --device {params.device:q} \
            --batch-size {params.batch_size:q} \
            --threads {threads} \
            --out {output.elements:q} \
            --motifs-out {output.motifs:q} \
            2>{log:q}
        """


rule describe_training:
    input:
        description=rules.prepare_training.output.description,
        config=f"{RESULTS}/training/{{training}}/checkpoint/config.json",
        curve=rules.train.output.curve,
        # perplexity.tsv and mutated.tsv
        measured=lambda wildcards: (
            rules.measure_perplexity.output
            if TRAIN[wildcards.training]["held_out"]
            or TRAIN[wildcards.training]["validation"]
            else []
        ),
        # elements.tsv and motifs.tsv
        elements=lambda wildcards: (
            rules.measure_elements.output
            if TRAIN[wildcards.training]["elements"]
            else []
        ),
    output:
        card=report(
            f"{RESULTS}/training/{{training}}/model_card.md",
            caption="captions/model_card.rst",
            category="Training",
            labels={"training": "{training}"},
        ),
        figure=report(
            f"{RESULTS}/training/{{training}}/learning_curve.png",
            caption="captions/learning_curve.rst",
            category="Training",
            labels={"training": "{training}"},
        ),
        svg=f"{RESULTS}/training/{{training}}/learning_curve.svg",
    log:
        f"{RESULTS}/logs/describe_training/{{training}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/describe_training/{{training}}.tsv"
    conda:
        "../envs/tables.yaml"
    params:
        settings=loop_settings,
        texts=lambda wildcards: [
            *flags("--start", [TRAIN[wildcards.training]["start"]]),
            *flags("--description", [TRAIN[wildcards.training]["description"]]),
            *flags("--licence", [TRAIN[wildcards.training]["licence"]]),
        ],
        measured=lambda wildcards, input: [
            *flags("--perplexity", input.measured[:1]),
            *flags("--mutated", input.measured[1:]),
            *flags("--elements", input.elements[:1]),
            *flags("--motifs", input.elements[1:]),
        ],
        checkpoint=lambda wildcards, input: str(Path(input.config).parent),
    shell:
        """
        python "$VARLM" describe_training \
            --name {wildcards.training:q} \
            --corpus {input.description:q} \
            --checkpoint {params.checkpoint:q} \
            --settings {params.settings:q} \
            --curve {input.curve:q} \
            {params.measured:q} \
            {params.texts:q} \
            --card {output.card:q} \
            --figure {output.svg:q} \
            2>{log:q}
        """
