"""benchmarks/gpu.py: what it says of its bars, and of parts that time or a crash left out."""

import importlib.util
import json

import pytest


@pytest.fixture(scope="module")
def gpu(root):
    spec = importlib.util.spec_from_file_location("gpu_benchmark", root / "benchmarks/gpu.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def row(rate):
    return {
        "mode": "fused",
        "sites_a_second": rate,
        "windows_a_batch": 256,
        "peak_gb": 7.5,
        "nats_from_float32_on_a_processor": 0.01,
    }


def measured(gpu, masked, dense):
    work = {"masked": 100e9, "dense": 0.5e9}
    model = {"operations_a_site": work, "masked": {"auto": row(masked)}}
    model["dense"] = {"auto": row(dense), "tf32": {"not there": "no such device"}}
    machine = {"device": "a card", "torch": "2", "date": "today"}
    tests = {"test_what": "failed"}
    left_out = {gpu.SHIPPED: "time was up"}
    return {
        "machine": machine,
        "quick": False,
        "peaks": {"bfloat16": 800.0},
        "models": {gpu.LARGE: model},
        "tests": tests,
        "left_out": left_out,
    }


@pytest.mark.parametrize(
    ("masked", "dense", "passed"),
    [
        (4000, 400_000, [True, True]),
        (3999, 399_000, [False, False]),
        (8000, 700_000, [True, False]),
    ],
)
def test_bars_are_of_the_cards_own_peak_and_of_masked_scoring(gpu, masked, dense, passed):
    share, times = gpu.bars(measured(gpu, masked, dense))
    assert share["value"] == pytest.approx(masked * 100e9 / 800e12)
    assert times["value"] == pytest.approx(dense / masked)
    assert [share["passed"], times["passed"]] == passed


def test_what_was_not_measured_is_neither_reached_nor_missed(gpu):
    known = measured(gpu, 4000, 400_000)
    del known["peaks"], known["models"][gpu.LARGE]["dense"]
    assert [bar["passed"] for bar in gpu.bars(known)] == [None, None]


def test_the_table_says_all_of_it(gpu, tmp_path):
    out = tmp_path / "gpu.json"
    gpu.keep(measured(gpu, 4000, 300_000), out)
    text = out.with_suffix(".md").read_text()
    assert f"| {gpu.LARGE} | masked | auto | fused | 4,000 | 50 % | 256 | 7.5 | 0.01 |" in text
    assert "bfloat16 peak: 0.5, reached (bar 0.5)" in text
    assert "times masked: 75, NOT reached (bar 100)" in text
    assert "- test test_what: failed" in text
    assert f"- {gpu.SHIPPED}: time was up" in text
    assert json.loads(out.read_text())["bars"][1]["passed"] is False


def test_without_time_or_with_crashes_it_says_so_and_ends(gpu, tmp_path, monkeypatch, capsys):
    out = tmp_path / "gpu.json"
    options = ["--device", "cpu", "--quick", "--out", str(out)]
    assert gpu.main([*options, "--minutes", "0"]) == 0
    assert set(json.loads(out.read_text())["left_out"]) == set(gpu.PARTS)
    monkeypatch.setattr(gpu, "__file__", str(tmp_path / "absent.py"))
    assert gpu.main(options) == 0
    left_out = json.loads(out.read_text())["left_out"]
    assert left_out == dict.fromkeys(gpu.PARTS, "ended with status 2")
    assert "ended with status 2" in capsys.readouterr().out


def test_figures_of_a_trial_do_not_replace_those_that_are_kept(gpu, capsys):
    for options in (["--quick"], ["--device", "cpu"]):
        with pytest.raises(SystemExit):
            gpu.main(options)
        assert "--out is needed" in capsys.readouterr().err
