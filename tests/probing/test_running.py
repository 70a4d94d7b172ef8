"""All probes of a table, from the folders that embed leaves to the page."""

import json

import numpy as np
import polars as pl
import pytest
import torch

from making.probes import embedded
from varlm import cli
from varlm.errors import UserError
from varlm.probing.parts import open_embeddings
from varlm.probing.record import ProbeRun
from varlm.probing.running import FEWEST_ROWS, ProbeSettings, run_probes
from varlm.tables.model_schemas import PROBE
from varlm.tables.tsv import read_tsv

LENGTH, CHANNELS = 12, 6
CNN = {"channels": 4, "filters": [4, 4], "dense": 4, "epochs": 2, "batch_size": 64}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def folder(tmp_path, kind="sequences", rows=120, classes=False, **options):
    """Embeddings whose mean tells the label, of random sequences on four chromosomes."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2, rows, LENGTH, CHANNELS)).astype(np.float32)
    mean = values.mean(axis=2)
    mean = mean[1] - mean[0] if kind == "variants" else mean[0]
    label = 100 * mean @ np.arange(1.0, CHANNELS + 1) + 7
    label = (label > np.median(label)).astype(float) if classes else label
    sequences = ["".join(letters) for letters in rng.choice(list("ACGT"), (rows, LENGTH))]
    alternates = ["T" + sequence[1:] for sequence in sequences]
    values = values if kind == "variants" else values[0]
    if options.get("positions") == "mean":
        values = values.mean(axis=-2, keepdims=True)
    embedded(
        tmp_path,
        values,
        label,
        [f"chr{row % 4}" for row in range(rows)],
        sequences,
        alternates=alternates if kind == "variants" else None,
        kind=kind,
        **options,
    )
    return tmp_path


@pytest.mark.parametrize("kind", ["sequences", "variants"])
def test_a_linear_function_of_the_embedding_is_found_by_ridge(tmp_path, kind):
    opened = {"gpn": open_embeddings(folder(tmp_path, kind))}
    probed = run_probes(opened, ProbeSettings(classes=False, cnn=CNN, kmers=2))
    names = [fit.column for fit in probed.fits]
    assert names == [
        *("gpn_positions_cnn", "gpn_mean_ridge", "gpn_centre_ridge"),
        *("one-hot_positions_cnn", "k-mers_counts_ridge", "GC_share_ridge"),
    ]
    label = opened["gpn"].rows["label"].to_numpy()
    by_name = dict(zip(names, probed.predictions, strict=True))
    assert np.corrcoef(by_name["gpn_mean_ridge"], label)[0, 1] > 0.95
    assert abs(np.corrcoef(by_name["k-mers_counts_ridge"], label)[0, 1]) < 0.3
    assert all(len(fit.chosen) == 4 for fit in probed.fits)


def test_of_the_mean_alone_no_network_reads_embeddings(tmp_path):
    opened = {"gpn": open_embeddings(folder(tmp_path, positions="mean"))}
    probed = run_probes(opened, ProbeSettings(classes=False, cnn=CNN))
    assert [(fit.input, fit.method) for fit in probed.fits if fit.method == "cnn"] == [
        ("one-hot", "cnn")
    ]
    assert [fit.features for fit in probed.fits if fit.model] == ["mean"]


def test_linear_probes_alone_import_no_torch_network(tmp_path):
    opened = {"gpn": open_embeddings(folder(tmp_path))}
    probed = run_probes(opened, ProbeSettings(classes=False, probes=("linear",)))
    assert {fit.method for fit in probed.fits} == {"ridge"}


def test_models_of_other_rows_are_an_error(tmp_path):
    one = open_embeddings(folder(tmp_path / "one", model="one"))
    two = open_embeddings(folder(tmp_path / "two", rows=121, model="two"))
    with pytest.raises(UserError, match="of two are of other rows than those of one"):
        run_probes({"one": one, "two": two}, ProbeSettings(classes=False))


def test_few_rows_are_an_error(tmp_path):
    opened = open_embeddings(folder(tmp_path, rows=FEWEST_ROWS - 1))
    with pytest.raises(UserError, match=f"29 rows .* at least {FEWEST_ROWS}"):
        run_probes({"gpn": opened}, ProbeSettings(classes=False))


def probe(tmp_path, embeddings, **settings):
    """Run the step; return the options that name what it wrote."""
    options = {
        "classes": False,
        "cnn": CNN,
        "kmers": 2,
        "label": "logFC",
        "folds": "chrom",
        **settings,
    }
    files = [
        f"--predictions={tmp_path / 'predictions.parquet'}",
        f"--fits={tmp_path / 'fits.json'}",
    ]
    step = ["probe", "--name", "mpra", "--embeddings", f"gpn={embeddings}", "--device", "cpu"]
    assert cli.main([*step, "--settings", json.dumps(options), *files]) == 0
    return files


@pytest.mark.parametrize(("kind", "classes"), [("sequences", True), ("variants", False)])
def test_the_steps_write_table_summary_figure_and_page(tmp_path, kind, classes):
    embeddings = folder(tmp_path / "gpn", kind, classes=classes)
    files, out = probe(tmp_path, embeddings, classes=classes), tmp_path
    (out / "vega.js").write_text("")
    written = [("table", "probe.tsv"), ("summary", "probe.json"), ("page", "probe.html")]
    written += [("figures", "figures"), ("vega", "vega.js")]
    outputs = [f"--{name}={out / file}" for name, file in written]
    assert cli.main(["describe_probe", "--bootstrap=50", *files, *outputs]) == 0
    table = read_tsv(out / "probe.tsv").cast(PROBE.schema)
    metrics = ["auroc", "auprc"] if classes else ["pearson", "spearman"]
    both = [*metrics, *(f"{metric}_pooled" for metric in metrics)]
    assert table["metric"].to_list() == both * 6
    assert table["rows"].unique().to_list() == [120]
    reference = table.filter(input="one-hot")
    assert reference["difference"].null_count() == reference.height
    others = table.filter(pl.col("input") != "one-hot")
    assert others["difference_high"].null_count() == 0
    assert (others["low"] <= others["value"]).all()
    summary = json.loads((out / "probe.json").read_text())
    assert summary["best"] == f"gpn_mean_{'logistic' if classes else 'ridge'}"
    assert summary["verdict"][0].startswith("The best of 6 probes is gpn, their mean")
    page = (out / "probe.html").read_text()
    for sentence in summary["verdict"]:
        assert sentence in page
    assert (out / "figures/probe.svg").read_text().startswith("<svg")
    assert (out / "figures/probe.png").stat().st_size > 1000
    predictions = pl.read_parquet(out / "predictions.parquet")
    assert predictions.columns[:5] == ["row", "fold", "held_out", "unit", "label"]
    run = ProbeRun.read(out / "fits.json")
    assert [fold.rows for fold in run.folds] == [30] * 4
    assert run.units == predictions["unit"].n_unique() == 120  # sequences, here, without a place


def test_the_same_seed_writes_the_same_predictions(tmp_path):
    embeddings = folder(tmp_path / "gpn", rows=60)
    before, again = tmp_path / "before", tmp_path / "again"
    for out in (before, again):
        out.mkdir()
        probe(out, embeddings, seed=3)
    first, second = (pl.read_parquet(out / "predictions.parquet") for out in (before, again))
    assert first.equals(second)


def test_an_error_names_the_probe(tmp_path, capsys, caplog):
    embeddings = folder(tmp_path / "gpn", rows=10)
    arguments = ["probe", "--name", "mpra", "--embeddings", f"gpn={embeddings}", "--settings"]
    arguments += [
        json.dumps({"label": "x", "folds": "chrom", "classes": False, "probes": ["linear"]})
    ]
    arguments += [f"--predictions={tmp_path / 'p'}", f"--fits={tmp_path / 'f'}"]
    assert cli.main(arguments) == 2
    assert "probe.mpra: 10 rows have embeddings" in capsys.readouterr().err + caplog.text
