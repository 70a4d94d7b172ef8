"""The steps calibrate and annotate, where scores are calibrated by mutation context."""

import numpy as np
import polars as pl
import pytest

from making.records import prepared_model
from varlm.annotation.mutation_calibration import (
    CohortCalibration,
    MutationCalibration,
    context_means,
    coverage,
)
from varlm.cli import main
from varlm.files.whole import write_digest
from varlm.genome.encoding import index_reference
from varlm.genome.reference import Genome
from varlm.models.preparing import prepare
from varlm.results.export import export_tsv
from varlm.scoring.background import choose
from varlm.scoring.brought_background import bring_background
from varlm.store import SITE_SCHEMA, Store
from varlm.tables.parquet import read_table, write_table
from varlm.tables.schemas import BACKGROUND, CONTEXT_MEANS, LOGIT_COLUMNS, VARIANTS

KEY, LENGTH = "key", 3500


@pytest.fixture
def genome(make_reference):
    letters = np.random.default_rng(1).choice([*"ACGT"], LENGTH)
    return make_reference({"chr1": "".join(letters), "plasmid": "ACGTTGCA"})


@pytest.fixture
def project(tmp_path, genome):
    """A store with random numbers of each site, and a cohort of SNVs and an insertion."""
    contigs = Genome.open(genome)
    rng = np.random.default_rng(2)
    parts = []
    for name in contigs.names:
        numbers = rng.normal(size=(contigs[name].length, 8)).astype("f4")
        columns = {column: numbers[:, i] for i, column in enumerate(LOGIT_COLUMNS)}
        positions = np.arange(1, len(numbers) + 1)
        parts.append((contigs[name].digest, pl.DataFrame({"pos": positions, **columns})))
    parts = [(digest, rows.cast(dict(SITE_SCHEMA))) for digest, rows in parts]
    Store(tmp_path / "store").commit(KEY, {}, parts)
    rows = []
    for contig, positions in (("chr1", range(1, 401)), ("plasmid", range(1, 9))):
        for pos in positions:
            ref = chr(contigs.sequence(contig)[pos - 1])
            for alt in sorted({*"ACGT"} - {ref}):
                place = (contig, contig, pos, None, ref, alt, pos, ref, alt, "snv")
                rows.append((*place, None, 0, len(rows), 1))
    table = pl.DataFrame(rows, schema=VARIANTS.schema, orient="row")
    write_table(table, tmp_path / "v.parquet", VARIANTS)
    write_digest(tmp_path / "v.parquet")
    return tmp_path


def run(folder, genome, score="masked", calibrated=True, sites=LENGTH):
    """Run both steps; return the annotated table."""
    prepared_model(key=KEY, score=score).write(folder / "m.json")
    shared = ["--reference", genome, "--model", folder / "m.json", "--store", folder / "store"]
    shared += ["--background", folder / "b.parquet"]
    contexts = ["--contexts", folder / "c.parquet"] if calibrated else []
    calibrate = ["calibrate", *shared, "--sites", sites, *contexts]
    assert main(list(map(str, calibrate))) == 0
    annotate = ["annotate", *shared, *contexts, "--variants", folder / "v.parquet"]
    annotate += ["--annotated", folder / "a.parquet"]
    annotate += ["--calibration", folder / "calibration.json"] if calibrated else []
    assert main(list(map(str, annotate))) == 0
    return pl.read_parquet(folder / "a.parquet")


def test_scores_less_what_the_background_has_beside_the_raw_ones(project, genome, caplog):
    caplog.set_level("INFO")
    table = run(project, genome)
    means = read_table(project / "c.parquet", CONTEXT_MEANS)
    three = dict(means[-96:].filter(pl.col("sites") >= 100).select("context", "mean").iter_rows())
    assert 48 < len(three) < 96  # the others have too few sites
    assert (means[:-96]["sites"] < 100).all()
    contigs = Genome.open(genome)
    complement = str.maketrans("ACGT", "TGCA")
    expected = []
    for contig, pos, ref, alt, llr in table.select(
        "chrom", "pos", "ref", "alt", "m_llr"
    ).iter_rows():
        window = bytes(contigs.sequence(contig)[max(pos - 2, 0) : pos + 1]).decode()
        if ref in "AG":
            window, ref = window.translate(complement)[::-1], ref.translate(complement)
            alt = alt.translate(complement)
        mean = three.get(f"{window[0]}[{ref}>{alt}]{window[-1]}") if len(window) == 3 else None
        expected.append(None if mean is None else llr - mean)
    calibrated = table["m_llr_calibrated"]
    assert calibrated.is_null().to_list() == [value is None for value in expected]
    known = calibrated.drop_nulls().to_numpy()
    np.testing.assert_allclose(known, [e for e in expected if e is not None], atol=1e-5)
    (counts,) = CohortCalibration.read(project / "calibration.json").models.values()
    nulls = calibrated.null_count()
    assert (counts.pentamer, counts.trinucleotide) == (0, table.height - nulls)
    assert counts.none == nulls > 12  # the ends of both contigs, and rare contexts
    assert f"0 SNVs calibrated by their 5-mer, {counts.trinucleotide} by" in caplog.text
    assert "sites are few for a calibration by 5-mers" in caplog.text
    export_tsv(project / "a.parquet", ["m"], project / "a.tsv.gz")
    text = pl.read_csv(project / "a.tsv.gz", separator="\t", infer_schema_length=None)
    assert text["m_llr_calibrated"].null_count() == nulls


def test_without_it_nothing_is_made_or_added(project, genome):
    before = run(project, genome, calibrated=False)
    with_it = run(project, genome)
    assert [name for name in with_it.columns if name not in before.columns] == ["m_llr_calibrated"]
    assert with_it.drop("m_llr_calibrated").equals(before)


def test_what_is_no_log_ratio_is_not_calibrated(project, genome, caplog):
    caplog.set_level("INFO")
    table = run(project, genome, score="probability")
    assert not [name for name in table.columns if "calibrated" in name]
    assert CohortCalibration.read(project / "calibration.json").models == {}
    assert read_table(project / "c.parquet", CONTEXT_MEANS).height == 0
    assert read_table(project / "b.parquet", BACKGROUND).height == 3 * LENGTH
    assert "probability is no log-ratio, and not calibrated" in caplog.text


@pytest.mark.real_data
def test_a_quarter_of_the_shipped_models_llrs_is_their_trinucleotide(shared_data, root, tmp_path):
    index_reference(shared_data / "yeast/genome.fa.gz", tmp_path / "reference")
    genome, store = Genome.open(tmp_path / "reference"), Store(tmp_path / "store")
    folder = root / "resources/models/saccharomyces"
    model = prepare(folder, name="yeast", path=str(folder), revision=None, precision="auto")
    bring_background(model, genome, store, 10_000)
    chosen = choose(genome, 10_000)
    rows = store.read_background(model.key, chosen.digest)
    means = context_means(rows, genome)
    told = coverage(means)
    assert (told.pentamers, told.trinucleotides) == (3, 96)
    assert 60_000 < told.needed < 120_000
    assert means[-96:]["mean"].std() == pytest.approx(0.5, abs=0.1)
    names = {genome[name].stored_as: name for name in genome.names}
    snvs = rows.with_columns(pl.col("contig").replace_strict(names, return_dtype=pl.String))
    scores = rows["llr"].to_numpy().astype(float)
    calibrated = MutationCalibration(means, genome)(snvs, scores)
    assert 1 - np.var(calibrated) / np.var(scores) == pytest.approx(0.26, abs=0.03)
