"""Dense scores on the scale of masked ones: in the table, the background, tracks, pictures."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pyBigWig
import pytest

from making.records import accounted_contig, accounting, prepared_model
from varlm.cli import main
from varlm.files.whole import write_digest
from varlm.genome.reference import Genome
from varlm.scoring import background, formulas
from varlm.scoring.dense_scale import unmeasured
from varlm.store import ALLELE_SCHEMA, SITE_SCHEMA, Store
from varlm.tables.parquet import read_table, write_table
from varlm.tables.schemas import BACKGROUND, LOGIT_COLUMNS, PICTURES, VARIANTS

CONTIG = "".join(np.random.default_rng(8).choice(list("ACGT"), 80))
C = float(np.log(5))
DENSE = prepared_model(name="d", family="gpn", score="dense", options={}, key="1" * 32)
MASKED = replace(DENSE, name="m", family=None, score=None, options=None, key="2" * 32)
REF = np.array(["ACGT".index(base) for base in CONTIG])


@pytest.fixture
def folder(tmp_path, make_reference):
    """A store with an ideal model's masked and dense numbers, and every SNV and a deletion."""
    genome = Genome.open(make_reference({"c": CONTIG}))
    masked = np.random.default_rng(9).normal(size=(len(CONTIG), 2, 4))
    dense = masked.copy()
    dense[np.arange(len(CONTIG)), :, REF] += C
    rows = {"pos": [80], "ref": [CONTIG[-2:]], "alt": [CONTIG[-2]]}
    alleles = pl.DataFrame({**rows, "llr_fwd": [-1.5], "llr_rev": [-0.5]}, ALLELE_SCHEMA)
    alleles = alleles.with_columns(pos=pl.lit(79, pl.UInt32))
    for model, numbers in ((MASKED, masked), (DENSE, dense)):
        columns = dict(zip(LOGIT_COLUMNS, numbers.reshape(-1, 8).T, strict=True))
        sites = pl.DataFrame({"pos": np.arange(1, 81), **columns}).cast(dict(SITE_SCHEMA))
        digest = genome["c"].stored_as
        Store(tmp_path / "store").commit(
            model.key, model.to_json(), [(digest, sites)], [(digest, alleles)]
        )
        model.write(tmp_path / f"{model.name}.json")
    table = [
        ("c", "c", p, None, r, a, p, r, a, "snv", None, 0, 3 * p + i, 1)
        for p, r in enumerate(CONTIG, 1)
        for i, a in enumerate(base for base in "ACGT" if base != r)
    ]
    long = CONTIG[-2:]
    table.insert(
        237, ("c", "c", 79, None, long, long[0], 79, long, long[0], "del", None, 0, 999, 1)
    )
    variants = pl.DataFrame(table, schema=VARIANTS.schema, orient="row").sort("pos")
    write_table(variants, tmp_path / "v.parquet", VARIANTS)
    write_digest(tmp_path / "v.parquet")
    unmeasured(DENSE, MASKED, C).write(tmp_path / "scale.json")
    return tmp_path


def run(step, folder, model, *words, status=0):
    """Run a step; words with a dot are files of the folder."""
    where = ["--model", f"{model.name}.json", "--reference", "reference", *words]
    if model is DENSE:
        where += ["--dense", "scale.json"]
    words = [folder / word if "." in str(word) or word == "reference" else word for word in where]
    assert main([step, *map(str, words), "--store", str(folder / "store")]) == status


def annotated(folder, model):
    background = f"{model.name}.background"
    run("calibrate", folder, model, "--sites", 60, "--background", background)
    files = ["--variants", "v.parquet", "--background", background]
    run("annotate", folder, model, *files, "--annotated", f"{model.name}.parquet")
    path = folder / f"{model.name}.parquet"
    return pl.read_parquet(path).rename(lambda name: name.replace(f"{model.name}_", "_"))


def test_an_ideal_models_table_is_that_of_its_masked_scores(folder):
    dense, masked = (annotated(folder, model) for model in (DENSE, MASKED))
    names = [name for name in masked.columns if name.startswith("_")]
    assert names == ["_llr", "_llr_fwd", "_llr_rev", "_entropy", "_p_ref", "_p_alt", "_percentile"]
    for name in names:
        one, other = (table[name].fill_null(9).to_numpy() for table in (dense, masked))
        # A rank among 180 may be another's where float32 rounds once or twice.
        assert one == pytest.approx(other, abs=0.6 if name == "_percentile" else 1e-5), name
    deletion = dense.filter(pl.col("kind") == "del").row(0, named=True)
    assert (deletion["_llr"], deletion["_llr_fwd"]) == (-1.0, -1.5)  # pseudo: as it is
    about = json.loads(pl.read_parquet_metadata(folder / "d.parquet")["varlm.model.d"])
    assert about["constant"] == C
    assert "constant" not in pl.read_parquet_metadata(folder / "m.parquet")["varlm.model.m"]


def test_the_store_keeps_the_background_as_it_is(folder):
    tables = {}
    for model in (DENSE, MASKED):
        path = f"{model.name}.background"
        for _ in range(2):  # new, then from the store
            run("calibrate", folder, model, "--sites", 60, "--background", path)
            rows = read_table(folder / path, BACKGROUND)
            assert tables.setdefault(model.name, rows).equals(rows)
    assert tables["d"]["llr"].to_numpy() == pytest.approx(tables["m"]["llr"].to_numpy(), abs=1e-5)
    chosen = background.choose(Genome.open(folder / "reference"), 60)
    raw = Store(folder / "store").read_background(DENSE.key, chosen.digest)
    assert raw["llr"].to_numpy() + C == pytest.approx(tables["m"]["llr"].to_numpy(), abs=1e-5)


def test_tracks_and_pictures_are_those_of_masked_scores(folder):
    heights = {}
    for model in (DENSE, MASKED):
        tracks = f"{model.name}.tracks"
        run("draw_tracks", folder, model, "--variants", "v.parquet", "--tracks", tracks)
        heights[model.name] = [
            pyBigWig.open(str(folder / tracks / f"{name}.bw")).values("c", 0, 80)
            for name in ("worst_llr", "entropy", "logo_A", "logo_T")
        ]
        annotated(folder, model)
        accounting(contigs=(accounted_contig("c", "c"),)).write(folder / "accounting.json")
        words = ["--annotated", f"{model.name}.parquet", "--accounting", "accounting.json"]
        words += ["--name", model.name, "--pictures", 3, "--flank", 5, "--device", "cpu"]
        run("score_pictures", folder, model, *words, "--sites", f"{model.name}.pictures")
    assert np.array(heights["d"]) == pytest.approx(np.array(heights["m"]), abs=1e-5)
    dense, masked = (read_table(folder / f"{name}.pictures", PICTURES) for name in "dm")
    assert dense.select("contig", "pos").equals(masked.select("contig", "pos"))
    numbers = [formulas.site_logits(table) for table in (dense, masked)]
    assert numbers[0] == pytest.approx(numbers[1], abs=1e-5)


def test_without_its_scale_no_step_makes_dense_scores(folder, capsys):
    plain = replace(DENSE)  # the same, and not told apart by `run`
    run("calibrate", folder, plain, "--sites", 5, "--background", "x.parquet", status=2)
    assert "the step measure_dense makes it" in capsys.readouterr().err
