"""Every family's checkpoint with its authors' answers, through the whole workflow."""

import csv

import polars as pl
import pytest

from making.families import CHECKED, entries, indels_as_normalised, sites_of
from making.workflow import snakemake, write_config, write_sheet

pytestmark = [pytest.mark.real_data, pytest.mark.slow]

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def families(shared_data):
    folder = shared_data.parent / "families"
    if not folder.is_dir():
        pytest.skip(f"no checkpoints with answers at {folder}")
    return folder


@pytest.fixture(scope="module")
def annotated(families, tmp_path_factory):
    """The annotated table of all sites and alleles of all families, scored by every entry."""
    folder = tmp_path_factory.mktemp("families")
    sites = sorted({site for name in CHECKED for site in sites_of(families / name)})
    alleles = sorted({row for name in CHECKED for row in indels_as_normalised(families / name)})
    rows = sorted({*sites, *alleles}, key=lambda row: (row[0], row[1], row[2:]))
    lines = [
        "##fileformat=VCFv4.2",
        "##contig=<ID=chr1>",
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO",
    ]
    lines += [f"{chrom}\t{pos}\t.\t{ref}\t{alt}\t.\t.\t." for chrom, pos, ref, alt in rows]
    (folder / "sites.vcf").write_text("\n".join(lines) + "\n")
    write_sheet(folder, {"sites": ["sites.vcf"]})
    write_config(
        folder,
        reference={"fasta": str(families / "genome.fa")},
        models={name: entry.config(families) for name, entry in entries(families).items()},
        scoring={"precision": "float32", "background_sites": 0},
        shards={"sites_per_shard": 5000},
    )
    snakemake(folder, "results/cohorts/sites/annotated.parquet")
    return pl.read_parquet(folder / "results/cohorts/sites/annotated.parquet")


def names():
    return [*entries(None)]


@pytest.mark.parametrize("name", names())
def test_every_column_of_the_authors(annotated, families, name):
    entry = entries(families)[name]
    table = {
        (row["chrom"], row["pos"], row["ref"], row["alt"]): row
        for row in annotated.iter_rows(named=True)
    }
    compared = 0
    for file, columns in entry.files.items():
        with (families / entry.checkpoint / file).open() as handle:
            rows = [*csv.DictReader(handle, delimiter="\t")]
        normal = indels_as_normalised(families / entry.checkpoint)
        for row in rows:
            key = (row["chrom"], int(row["pos"]), row["ref"], row["alt"])
            if len(row["ref"]) + len(row["alt"]) > 2 and key not in normal:
                continue  # scored where it is normalised to: its window is another
            for column, published in columns.items():
                value = table[key][f"{name}_{column}"]
                assert value == pytest.approx(float(row[published]), abs=TOLERANCE), (key, column)
                compared += 1
    assert compared > 0
