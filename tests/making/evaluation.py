"""Runs of the step evaluate, and a cohort of real alleles for it."""

from __future__ import annotations

import json

import numpy as np
import polars as pl

from making import records
from varlm.cli import main
from varlm.genome.encoding import index_reference


def step(folder, settings, *more, cohort="cohort"):
    out = folder / "out"
    arguments = ["evaluate", "--annotated", folder / "annotated.parquet"]
    arguments += ["--accounting", folder / "accounting.json", "--cohort", cohort]
    arguments += ["--reference", folder / "reference"]
    arguments += ["--model", "gpn", "--model", "other", "--settings", json.dumps(settings), *more]
    arguments += ["--table", out / "evaluation.tsv", "--summary", out / "evaluation.json"]
    return main([*map(str, arguments), "--figures", str(out / "figures")])


def real_cohort(yeast, folder, vcf, contig, fields=()):
    """Write the annotated table of a contig's SNVs, with made-up LLRs and the real conservation."""
    import pyBigWig
    import pysam

    from varlm.files.whole import write_digest
    from varlm.tables.parquet import Column, write_table
    from varlm.tables.schemas import annotated

    alleles = []
    with pysam.VariantFile(str(vcf)) as file:
        declared = [name for name in ("AF", *fields) if name in file.header.info]
        for number, record in enumerate(file):
            if record.chrom != contig:
                continue
            for i, alt in enumerate(record.alts or ()):
                if len(record.ref) == len(alt) == 1:
                    info = {name: record.info.get(name) for name in declared}
                    own = {k: v[i] if isinstance(v, tuple) else v for k, v in info.items()}
                    alleles.append((record.pos, record.ref, alt, number, i + 1, own))
    rng = np.random.default_rng(0)
    with pyBigWig.open(str(yeast / "tracks/spar_identity.bw")) as track:
        spar = [track.values(contig, pos - 1, pos)[0] for pos, *_ in alleles]
    extra = [
        Column(f"info_{name}", pl.String() if name == "AA" else pl.Int32(), "") for name in fields
    ]
    table = annotated(["gpn", "other"], [*extra, Column("spar", pl.Float32(), "")])
    columns = {
        "chrom": [contig] * len(alleles),
        "pos": [a[0] for a in alleles],
        "ref": [a[1] for a in alleles],
        "alt": [a[2] for a in alleles],
        "af": [a[5].get("AF") for a in alleles],
        "spar": spar,
        "record": [a[3] for a in alleles],
        "allele": [a[4] for a in alleles],
        **{f"info_{name}": [a[5][name] for a in alleles] for name in fields},
        **{f"{model}_llr": rng.normal(-1, 2, len(alleles)) for model in ("gpn", "other")},
    }
    for name in ("pos", "ref", "alt"):
        columns[f"input_{name}"] = columns[name]
    columns |= {"kind": ["snv"] * len(alleles), "file": [0] * len(alleles)}
    frame = pl.DataFrame(
        {name: columns.get(name, [None] * len(alleles)) for name in table.names}, strict=False
    )
    frame = frame.cast(table.schema).with_columns(pl.col("spar").fill_nan(None))
    write_table(frame, folder / "annotated.parquet", table)
    write_digest(folder / "annotated.parquet")
    contigs = (records.accounted_contig(contig, contig),)
    records.accounting(cohort="cohort", contigs=contigs).write(folder / "accounting.json")
    index_reference(yeast / "genome.fa.gz", folder / "reference")
    return frame
