"""Steps called in the test's process, by what they are given, and a plan scored by them."""

from varlm import cli
from varlm.scoring.plan_record import Plan


def step(subcommand, /, *words, **options):
    flags = [w for key, value in options.items() for w in (f"--{key.replace('_', '-')}", value)]
    assert cli.main(list(map(str, [subcommand, *words, *flags]))) == 0


def score_and_store(folder, shared, store, sites):
    """Score each shard of the plan in a folder, commit and calibrate; return the background's file.

    `shared` has the options `reference` and `model`; `sites` is the number of background sites.
    """
    for number in range(Plan.read(folder / "plan/plan.json").shards):
        scores = folder / "scores" / str(number)
        step(
            "score",
            **shared,
            shard=folder / f"plan/shards/{number}.parquet",
            sites=scores / "sites.parquet",
            alleles=scores / "alleles.parquet",
            run=scores / "run.json",
            device="cpu",
            batch_size=4,
        )
    step(
        "commit",
        **shared,
        store=store,
        plan=folder / "plan",
        scores=folder / "scores",
        committed=folder / "committed.json",
    )
    background = folder / "background.parquet"
    step("calibrate", **shared, store=store, sites=sites, background=background)
    return background
