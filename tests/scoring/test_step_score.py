"""The step `score`: a shard in, every planned row out exactly once, in order."""

import json
import os
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from making.scoring import allele_ratios, site_logits, toy_model
from making.toy_models import CONFIGS, make_checkpoint
from varlm import cli
from varlm.genome.reference import Genome
from varlm.models.loading import load_model
from varlm.scoring.scorer import Scorer
from varlm.tables.parquet import read_table
from varlm.tables.schemas import ALLELES, LOGIT_COLUMNS, SHARD, SITES

WINDOW = 32


def dna(seed: int, length: int) -> str:
    return "".join(np.random.default_rng(seed).choice(list("ACGT"), length))


CONTIGS = {"one": dna(1, 300), "two": dna(2, 20), "three": dna(3, 90) + "NNNNRY" + dna(4, 50)}


@pytest.fixture
def job(tmp_path, make_reference):
    """A function: rows and settings → the exit status; the files' paths are its attributes."""
    reference = make_reference(CONTIGS)
    folder = make_checkpoint(tmp_path / "model", CONFIGS["legacy"])
    model = toy_model(folder, WINDOW)

    def run(rows, **changes) -> int:
        run.model.write_text(json.dumps(model.to_json() | changes))
        pl.DataFrame(rows, schema=SHARD.schema, orient="row").write_parquet(run.shard)
        return cli.main([*run.argv])

    run.folder, run.genome = folder, Genome.open(reference)
    run.model, run.shard = tmp_path / "model.json", tmp_path / "shard.parquet"
    run.sites, run.alleles = (
        tmp_path / "out" / "sites.parquet",
        tmp_path / "out" / "alleles.parquet",
    )
    run.argv = ["score", "--shard", run.shard, "--reference", reference, "--model", run.model]
    run.argv += ["--sites", run.sites, "--alleles", run.alleles, "--threads", "1"]
    run.run_json = tmp_path / "out" / "run.json"
    run.argv += ["--run", run.run_json, "--device", "cpu", "--batch-size", "4"]
    run.argv = [str(word) for word in run.argv]
    return run


def site(contig: str, pos: int) -> tuple:
    return (contig, pos, None, None)


ROWS = [
    *(site("one", p) for p in (1, 2, 17, 150, 299, 300)),
    ("one", 40, CONTIGS["one"][39], CONTIGS["one"][39] + "GAT"),
    ("one", 41, CONTIGS["one"][40:44], CONTIGS["one"][40]),
    site("two", 1),
    site("two", 20),
    ("two", 7, CONTIGS["two"][6:8], "".join("TGCA"["ACGT".index(b)] for b in CONTIGS["two"][6:8])),
    *(site("three", p) for p in (1, 88, 93, 97, 146)),
]


def test_every_row_once_in_order_with_the_librarys_numbers(job):
    assert job(ROWS) == 0
    sites, alleles = read_table(job.sites, SITES), read_table(job.alleles, ALLELES)
    assert sites.select("contig", "pos").rows() == [row[:2] for row in ROWS if row[2] is None]
    assert alleles.select("contig", "pos", "ref", "alt").rows() == [r for r in ROWS if r[2]]
    scorer = Scorer(load_model(job.folder), batch_size=4)
    for row in sites.iter_rows(named=True):
        sequence = job.genome.sequence(row["contig"])
        expected = site_logits(scorer, sequence, np.array([row["pos"] - 1]), WINDOW)
        np.testing.assert_allclose(
            [row[name] for name in LOGIT_COLUMNS], expected.reshape(8), atol=1e-5
        )
    for row in alleles.iter_rows(named=True):
        sequence = job.genome.sequence(row["contig"])
        expected = allele_ratios(
            scorer, sequence, np.array([row["pos"] - 1]), [row["ref"]], [row["alt"]], WINDOW
        )
        np.testing.assert_allclose([row["llr_fwd"], row["llr_rev"]], expected[0], atol=1e-4)


def test_two_runs_give_the_same_bytes(job):
    """Fault 65."""
    assert job(ROWS) == 0
    before = job.sites.read_bytes(), job.alleles.read_bytes()
    assert job(ROWS) == 0
    assert (job.sites.read_bytes(), job.alleles.read_bytes()) == before


def test_shards_of_any_cut_give_the_same_numbers(job):
    """Fault 60."""
    assert job(ROWS) == 0
    whole = read_table(job.sites, SITES), read_table(job.alleles, ALLELES)
    parts = []
    for rows in (ROWS[:5], ROWS[5:8], ROWS[8:]):
        assert job(rows) == 0
        parts.append((read_table(job.sites, SITES), read_table(job.alleles, ALLELES)))
    for table, pieces in zip(whole, zip(*parts, strict=True), strict=True):
        together = pl.concat(pieces)
        numbers = [name for name, dtype in table.schema.items() if dtype == pl.Float32]
        assert together.drop(numbers).equals(table.drop(numbers))
        np.testing.assert_allclose(together[numbers], table[numbers], atol=1e-5, rtol=0)


def test_an_empty_shard_makes_empty_tables_without_torch(job):
    assert job([]) == 0
    assert read_table(job.sites, SITES).height == read_table(job.alleles, ALLELES).height == 0
    code = (
        "import sys; from varlm import cli; status = cli.main(sys.argv[1:]);"
        "assert 'torch' not in sys.modules; sys.exit(status)"
    )
    env = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    subprocess.run([sys.executable, "-c", code, *job.argv], env=env, check=True)
    assert job.run_json.read_bytes() == b"{}\n"  # the bytes of before


def test_the_forward_strand_alone_leaves_nulls(job):
    assert job(ROWS, strands="forward") == 0
    sites, alleles = read_table(job.sites, SITES), read_table(job.alleles, ALLELES)
    for name in LOGIT_COLUMNS:
        assert sites[name].null_count() == (sites.height if name.startswith("rev") else 0)
    assert alleles["llr_fwd"].null_count() == 0
    assert alleles["llr_rev"].null_count() == alleles.height


def test_auto_chooses_on_the_shards_own_windows_and_says_so(job, caplog):
    caplog.set_level("INFO")
    rows = [site("one", p) for p in range(1, 201)]
    assert job(rows) == 0
    expected = read_table(job.sites, SITES)
    assert job(rows, precision="auto") == 0
    found = read_table(job.sites, SITES)
    np.testing.assert_allclose(
        found[list(LOGIT_COLUMNS)], expected[list(LOGIT_COLUMNS)], atol=1e-3, rtol=0
    )
    message = next(
        text for text in caplog.messages if text.startswith("computing in") and "winograd" in text
    )
    assert "windows a second: float32" in message
    assert "200 of 200 sites (100 %)" in caplog.text


def error(capsys) -> str:
    text = capsys.readouterr().err.strip().splitlines()[-1]
    assert text.startswith("error: ")
    return text


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([site("four", 1)], "row 0: four:1 (REF None, ALT None) is not on the reference"),
        ([site("two", 20), site("two", 21)], "row 1: two:21"),
        ([site("two", 0)], "row 0: two:0"),
        ([("two", 1, "A", None)], "row 0: two:1 (REF A, ALT None)"),
        ([("one", 1, "N" * 3, "N")], "contig one: position 1: REF is 'NNN', but the reference"),
        ([("one", 3, CONTIGS["one"][2], "G" * 40)], "contig one: position 3: an allele of"),
    ],
)
def test_a_shard_that_does_not_fit_the_reference_is_an_error(job, capsys, rows, message):
    assert job(rows) == 2
    assert message in error(capsys)
    assert not job.sites.exists()
    assert not job.alleles.exists()


def test_other_weights_than_were_prepared_are_an_error(job, capsys):
    """Fault 51."""
    path = job.folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-5] ^= 4
    path.write_bytes(data)
    assert job(ROWS) == 2
    assert "model.safetensors: SHA-256" in error(capsys)
    assert not job.sites.exists()


def test_bad_settings_are_an_error(job, capsys):
    assert job(ROWS, precision="int8") == 2
    assert 'model.json: precision: found "int8", expected one of auto, float32' in error(capsys)
    assert job(ROWS, folder="/nowhere") == 2
    assert "no such folder" in error(capsys)
    for text, message in (
        ("{", "not readable"),
        ("{}", "lacks files, folder"),
        (None, "not found"),
    ):
        job.model.unlink() if text is None else job.model.write_text(text)
        assert cli.main(job.argv) == 2
        assert message in error(capsys)


@pytest.mark.parametrize("size", ["0", "-1", "many"])
def test_a_bad_batch_size_is_an_error(job, capsys, size):
    assert job([]) == 0
    assert cli.main([*job.argv, "--batch-size", size]) == 2
    assert "scoring.batch_size" in error(capsys)
