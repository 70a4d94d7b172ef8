"""Cohorts to plan, and a model, a reference and a store to plan them for."""

from __future__ import annotations

import polars as pl

from making.toy_models import CONFIGS, make_checkpoint
from varlm.cli import main
from varlm.files.whole import write_digest
from varlm.genome.encoding import index_reference
from varlm.genome.reference import Genome
from varlm.scoring.plan_record import Plan
from varlm.store import Store
from varlm.tables.schemas import LOGIT_COLUMNS, VARIANTS


def variants(path, rows):
    """Write a variants.parquet of (contig, pos, ref, alt) rows, sorted within each contig."""
    contigs = list(dict.fromkeys(row[0] for row in rows))
    rows = sorted(rows, key=lambda row: (contigs.index(row[0]), row[1:]))
    frame = pl.DataFrame(
        [
            {
                "chrom": contig,
                "contig": contig,
                "pos": pos,
                "ref": ref,
                "alt": alt,
                "kind": "snv" if len(ref) == len(alt) == 1 else "ins",
                "record": index,
            }
            for index, (contig, pos, ref, alt) in enumerate(rows)
        ],
        schema_overrides=VARIANTS.schema,
    )
    missing = [pl.lit(None, dtype=t).alias(n) for n, t in VARIANTS.schema.items()]
    frame = frame.with_columns(m for m in missing if m.meta.output_name() not in frame.columns)
    frame.select(VARIANTS.names).write_parquet(path)
    return path


ROWS = [("one", 3, "C", "T"), ("one", 9, "A", "AT"), ("two", 5, "G", "A"), ("two", 6, "T", "C")]


SEQUENCES = {"one": "GACTTAGCATTA", "two": "TTCAGTACCGTA"}


class Setting:
    """A model, a reference and a cohort; `plan` says how many rows are to be scored."""

    def __init__(self, folder):
        self.folder = folder
        self.store = Store(folder / "store")
        self.cohort = variants(folder / "variants.parquet", ROWS)
        write_digest(self.cohort)
        self.reference = self.write_reference("reference", SEQUENCES)
        self.checkpoint = make_checkpoint(folder / "model", CONFIGS["convnet"])

    def write_reference(self, name, sequences):
        fasta = self.folder / f"{name}.fa"
        fasta.write_text("".join(f">{n}\n{s}\n" for n, s in sequences.items()))
        index_reference(fasta, self.folder / name)
        return self.folder / name

    def plan(self, *, checkpoint=None, reference=None, background=0, status=0, **changes):
        settings = {"window": "64", "strands": "both", "precision": "float32"} | changes
        model = self.folder / "m.json"
        command = ["prepare_model", "--name", "m", "--path", checkpoint or self.checkpoint]
        command += [item for k, v in settings.items() for item in (f"--{k}", v)]
        assert main(list(map(str, [*command, "--model", model]))) == 0
        command = ["plan", "--model", model, "--reference", reference or self.reference]
        command += ["--store", self.store.root, "--cohort", "c", "--variants", self.cohort]
        command += ["--background-sites", background, "--sites-per-shard", 100]
        command += ["--plan", self.folder / "plan"]
        assert main(list(map(str, command))) == status
        if status:
            return None
        plan = Plan.read(self.folder / "plan/plan.json")
        return plan.key, plan.total.sites_scored + plan.total.alleles_scored, plan

    def fill(self, key):
        """Store a score of every row of the cohort."""
        genome = Genome.open(self.reference)
        zeros = dict.fromkeys(LOGIT_COLUMNS, 0.0)
        sites = [
            (genome[c].digest, pl.DataFrame({"pos": pos, **zeros}))
            for c, pos in (("one", [3]), ("two", [5, 6]))
        ]
        allele = {"pos": [9], "ref": ["A"], "alt": ["AT"], "llr_fwd": [0.0], "llr_rev": [0.0]}
        Store(self.store.root).commit(
            key, {}, sites, [(genome["one"].digest, pl.DataFrame(allele))]
        )
