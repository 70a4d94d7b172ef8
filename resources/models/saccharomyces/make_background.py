"""Score the background of a genome with this model, for `background.varlm.tar` beside it.

    python resources/models/saccharomyces/make_background.py --genome GENOME.fa.gz \
        --circular Mito [--score masked --score dense]

Percentiles rank among these scores; with the file, no run has to compute them (docs/store.md). The
keys are those of the defaults of a config, `precision: auto` among them, which allows a run to
compute in fewer bits. Here all is computed in plain float32: these are the values that such runs
are held to. Circular contigs are scored as such and, for runs whose annotation does not call them
so, as linear ones too. What --out has already is not computed again.
"""

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "workflow_scripts"))

from varlm import cli
from varlm.genome.reference import Genome
from varlm.models.preparing import prepare
from varlm.scoring import planning
from varlm.scoring.background import kept_scores
from varlm.scoring.brought_background import FILE
from varlm.scoring.hardware import Hardware
from varlm.scoring.shard import score_rows
from varlm.store import Store
from varlm.store.backgrounds import export_backgrounds
from varlm.store.importing import import_archive
from varlm.tables.schemas import SHARD

FOLDER = Path(__file__).resolve().parent


def references(genome: Path, circular: list[str], folder: Path):
    """Yield the genome with no contig circular, and with these."""
    reference = ["--reference", str(folder)]
    cli.main(["index_reference", "--fasta", str(genome), *reference])
    for contigs in [[], circular] if circular else [[]]:
        cli.main(["find_circular", *reference, *(f"--contig={contig}" for contig in contigs)])
        yield Genome.open(folder)


def score_background(genome: Genome, store: Store, score: str, count: int, hardware: Hardware):
    """Add the background of a genome, and the rows of its sites, to a store."""
    model = prepare(
        FOLDER,
        name=FOLDER.name,
        path=f"varlm:{FOLDER.name}",
        revision=None,
        precision="auto",
        score=score,
    )
    wanted = planning.wanted_rows({}, count, genome, store, model)
    new = planning.new_rows(wanted, genome, store, model.key, planning.Tally())
    rows = pl.concat([pl.DataFrame(schema=SHARD.schema), *new])
    plain = replace(model, precision="float32")
    sites = score_rows(rows, genome, plain, hardware).sites
    pieces = [
        (genome[str(of_contig["contig"][0])].stored_as, of_contig.drop("contig"))
        for of_contig in sites.partition_by("contig", maintain_order=True)
    ]
    store.commit(model.key, model.to_json(), pieces)
    kept_scores(planning.background.choose(genome, count, model.strands), store, model)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--genome", type=Path, required=True, help="FASTA")
    parser.add_argument("--circular", action="append", default=[], help="a contig; repeat")
    parser.add_argument("--score", action="append", help="kind of score; masked by default")
    parser.add_argument("--sites", type=int, default=10_000, help="scoring.background_sites")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=FOLDER / FILE)
    args = parser.parse_args()
    hardware = Hardware(threads=args.threads)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder, "store"))
        if args.out.exists():
            import_archive(store, args.out)
        for genome in references(args.genome, args.circular, Path(folder, "reference")):
            for score in args.score or ["masked"]:
                score_background(genome, store, score, args.sites, hardware)
        print(export_backgrounds(store, args.out, store.keys()))


if __name__ == "__main__":
    main()
