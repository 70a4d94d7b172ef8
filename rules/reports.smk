# Requires: a cohort's tables, what was planned and stored for it, the background
# Produces: {results}/cohorts/{cohort}/report.html, figures/, {cohort}_mqc.json, pictures/,
#           {results}/index.html, scripts/vega.js


# Name of each figure's file and its title; varlm.report.charts draws them. They are of models.
FIGURES = {
    "llr_by_consequence": "Scores by consequence",
    "llr_density": "Scores against the background",
    "llr_along_genome": "Scores along the genome",
    "llr_by_frequency": "Scores by allele frequency",
    "strand_agreement": "Agreement of the strands",
    "percentiles": "Percentiles",
}
FIGURES = FIGURES if MODELS else {}


# Loads the model only where the store lacks sites around the top hits.
rule score_pictures:
    input:
        annotated=rules.annotate.output.annotated,
        digest=rules.annotate.output.digest,
        accounting=f"{RESULTS}/cohorts/{{cohort}}/accounting.json",
        model=rules.prepare_model.output.model,
        genome=rules.index_reference.output.genome,
        dense=dense_scales,
        stored=stored,
    output:
        sites=f"{RESULTS}/cohorts/{{cohort}}/pictures/{{model}}.parquet",
    log:
        f"{RESULTS}/logs/score_pictures/{{cohort}}.{{model}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/score_pictures/{{cohort}}.{{model}}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: SCORING_THREADS
    resources:
        gpu=GPU,
    params:
        reference=lambda wildcards, input: [
            str(Path(input.genome).parent),
            *flags("--dense", input.dense),
        ],
        models=flags("--name", MODELS),
        store=STORE,
        pictures=CONFIG["report"]["pictures"],
        flank=CONFIG["report"]["flank"],
        device=CONFIG["scoring"]["device"],
        batch_size=CONFIG["scoring"]["batch_size"],
    shell:
        """
        python "$VARLM" score_pictures \
            --annotated {input.annotated:q} \
            --accounting {input.accounting:q} \
            --reference {params.reference:q} \
            --model {input.model:q} \
            {params.models:q} \
            --store {params.store:q} \
            --pictures {params.pictures:q} \
            --flank {params.flank:q} \
            --device {params.device:q} \
            --batch-size {params.batch_size:q} \
            --threads {threads} \
            --sites {output.sites:q} \
            2>{log:q}
        """


# The same for every page of a run, and a third of a page's time: made where a core is free.
rule bundle_scripts:
    output:
        vega=f"{RESULTS}/scripts/vega.js",
    log:
        f"{RESULTS}/logs/bundle_scripts.log",
    benchmark:
        f"{RESULTS}/benchmarks/bundle_scripts.tsv"
    priority: -1
    localrule: True
    conda:
        "../envs/tables.yaml"
    params:
        version=__version__,
    shell:
        """
        python "$VARLM" bundle_scripts \
            --vega {output.vega:q} \
            2>{log:q}
        """


# What the plan and the commit counted and what steps warned of is read where it lies and is no
# input: a report tells of the run that made its table, and is not made again because another cohort
# was added. It waits for the export, of whose warnings it tells.
rule report:
    input:
        annotated=rules.annotate.output.annotated,
        digest=rules.annotate.output.digest,
        rejected=lambda wildcards: (
            f"{RESULTS}/cohorts/{wildcards.cohort}/rejected.tsv.gz"
            if wildcards.cohort in COHORTS
            else []
        ),
        accounting=f"{RESULTS}/cohorts/{{cohort}}/accounting.json",
        contigs=rules.index_reference.output.contigs,
        models=expand(rules.prepare_model.output.model, model=MODELS),
        backgrounds=expand(rules.calibrate.output.background, model=MODELS),
        pictures=expand(
            f"{RESULTS}/cohorts/{{{{cohort}}}}/pictures/{{model}}.parquet",
            model=MODELS,
        ),
        annotation=(
            rules.index_annotation.output.folder
            if CONFIG["reference"]["annotation"]
            else []
        ),
        evaluation=(
            []
            if CONFIG["evaluate"] is None
            else [rules.evaluate.output.table, rules.evaluate.output.summary]
        ),
        exported=f"{RESULTS}/cohorts/{{cohort}}/annotated.tsv.gz",
        records=lambda wildcards: records([wildcards.cohort]),
        ranks=ranks(),
        vega=rules.bundle_scripts.output.vega,
        dense=dense_scales,
        stored=stored,
    output:
        **{
            figure: report(
                f"{RESULTS}/cohorts/{{cohort}}/figures/{figure}.png",
                caption=f"captions/{figure}.rst",
                category="Figures",
                subcategory="{cohort}",
                labels={"cohort": "{cohort}", "figure": title},
            )
            for figure, title in FIGURES.items()
        },
        report=report(
            f"{RESULTS}/cohorts/{{cohort}}/report.html",
            caption="captions/report.rst",
            category="Reports",
            labels={"cohort": "{cohort}"},
        ),
        multiqc=f"{RESULTS}/cohorts/{{cohort}}/{{cohort}}_mqc.json",
        summary=f"{RESULTS}/cohorts/{{cohort}}/report.json",
        svg=expand(
            f"{RESULTS}/cohorts/{{{{cohort}}}}/figures/{{figure}}.svg", figure=FIGURES
        ),
    log:
        f"{RESULTS}/logs/report/{{cohort}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/report/{{cohort}}.tsv"
    conda:
        "../envs/tables.yaml"
    params:
        reference=subpath(input.contigs, parent=True),
        rejected=lambda wildcards, input: flags("--rejected", [input.rejected or None]),
        models=lambda wildcards, input: [
            *flags("--model", input.models),
            *flags("--plan", expand(f"{RESULTS}/plan/{{m}}/plan.json", m=MODELS)),
            *flags("--committed", expand(f"{RESULTS}/commits/{{m}}.json", m=MODELS)),
            *flags("--background", input.backgrounds),
            *flags("--pictures", input.pictures),
            *flags("--dense", input.dense),
            *flags("--scores", named(TABLES, input.records)),
            *flags("--ranks", named(RANKED, input.ranks)),
        ],
        annotation=lambda wildcards, input: flags(
            "--annotation-summary",
            [f"{input.annotation}/annotation.json" if input.annotation else None],
        ),
        evaluation=lambda wildcards, input: [
            *flags("--evaluation", input.evaluation[:1]),
            *flags("--evaluation-summary", input.evaluation[1:]),
        ],
        # Functions, since Snakemake takes the braces of a plain text for wildcards.
        settings=lambda wildcards: shown_settings(),
        results=lambda wildcards: RESULTS,
        browsers=lambda wildcards: flags(
            "--browser", pairs(CONFIG["report"]["browsers"])
        ),
        top_hits=CONFIG["report"]["top_hits"],
        pictures=CONFIG["report"]["pictures"],
        flank=CONFIG["report"]["flank"],
        figures=f"{RESULTS}/cohorts/{{cohort}}/figures",
    shell:
        """
        python "$VARLM" report \
            --cohort {wildcards.cohort:q} \
            --annotated {input.annotated:q} \
            {params.rejected:q} \
            --accounting {input.accounting:q} \
            --reference {params.reference:q} \
            {params.models:q} \
            {params.annotation:q} \
            {params.evaluation:q} \
            --settings {params.settings:q} \
            --results {params.results:q} \
            {params.browsers:q} \
            --vega {input.vega:q} \
            --top-hits {params.top_hits:q} \
            --pictures-count {params.pictures:q} \
            --flank {params.flank:q} \
            --report {output.report:q} \
            --figures {params.figures:q} \
            --multiqc {output.multiqc:q} \
            --summary {output.summary:q} \
            2>{log:q}
        """


rule compare_cohorts:
    input:
        summaries=expand(
            f"{RESULTS}/cohorts/{{cohort}}/report.json", cohort=ALL_COHORTS
        ),
        backgrounds=expand(rules.calibrate.output.background, model=MODELS),
        vega=rules.bundle_scripts.output.vega,
        probes=[
            output
            for probe in PROBED
            for output in expand(rules.describe_probe.output, probe=probe)
        ],
    output:
        index=report(
            f"{RESULTS}/index.html",
            caption="captions/index.rst",
            category="Reports",
            labels={"cohort": "all"},
        ),
    log:
        f"{RESULTS}/logs/compare_cohorts.log",
    benchmark:
        f"{RESULTS}/benchmarks/compare_cohorts.tsv"
    conda:
        "../envs/tables.yaml"
    params:
        summaries=lambda wildcards, input: [
            *flags("--summary", input.summaries),
            *flags("--probe", [f"{RESULTS}/probes/{probe}" for probe in PROBED]),
        ],
        models=lambda wildcards, input: [
            *flags("--model", MODELS),
            *flags("--background", input.backgrounds),
        ],
    shell:
        """
        python "$VARLM" compare_cohorts \
            {params.summaries:q} \
            {params.models:q} \
            --vega {input.vega:q} \
            --index {output.index:q} \
            2>{log:q}
        """
