# Requires: all that steps after the scoring read from the user, {results}/reference/, accounting.json
# Produces: {results}/checked_inputs.json, for which the plan waits


# The plan waits for it, and is not made again where it is (`checked` in common.smk): a table of labels
# that was edited while shards are scored makes none of them anew. Headers and small tables: seconds,
# less than a scheduler would let it wait.
rule check_inputs:
    input:
        contigs=rules.index_reference.output.contigs,
        aliases=inputs(CONFIG["reference"]["aliases"]),
        accounting=expand(
            f"{RESULTS}/cohorts/{{cohort}}/accounting.json", cohort=ALL_COHORTS
        ),
        # Read by its own step: here only waited for.
        annotation=(
            f"{RESULTS}/reference/annotation"
            if CONFIG["reference"]["annotation"]
            else []
        ),
        files=lambda wildcards: [
            located(path) for path in READ_LATE if path not in ADDRESSES
        ],
        addresses=lambda wildcards: [
            located(path) for path in READ_LATE if path in ADDRESSES
        ],
    output:
        checked=f"{RESULTS}/checked_inputs.json",
    log:
        f"{RESULTS}/logs/check_inputs.log",
    benchmark:
        f"{RESULTS}/benchmarks/check_inputs.tsv"
    localrule: True
    conda:
        "../envs/tables.yaml"
    params:
        reference=subpath(input.contigs, parent=True),
        # A function, since Snakemake takes the braces of a plain text for wildcards.
        settings=lambda wildcards: step_settings.checked_settings(CONFIG),
        cohorts=[
            *flags("--sheet", [CONFIG["cohorts"]]),
            *(["--regions"] if SATURATED else []),
        ],
        located=lambda wildcards, input: located_flags(
            SHIPPED.paths,
            [path for path in READ_LATE if path in ADDRESSES],
            input.addresses,
        ),
        aliases=lambda wildcards, input: flags("--aliases", input.aliases),
        content=lambda wildcards: fingerprints(
            *inputs_beside_vcfs(CONFIG, COHORTS), CONFIG["reference"]["aliases"]
        ),
        folder=lambda wildcards: f"{RESULTS}/cohorts",
    shell:
        """
        python "$VARLM" check_inputs \
            --settings {params.settings:q} \
            {params.cohorts:q} \
            {params.located:q} \
            --reference {params.reference:q} \
            {params.aliases:q} \
            --cohorts {params.folder:q} \
            --checked {output.checked:q} \
            2>{log:q}
        """
