"""Every benchmark runs, at a size of seconds: figures come from `benchmarks/`, never from here."""

import subprocess
import sys

import pytest

from making import smaller_benchmark
from making.small_data import make_small_data

pytestmark = pytest.mark.slow

# Script → options at a size to try out; {data}, {out} and {folder} are filled in.
SMALL = {
    "annotate": "--data {data} --out {out} --folder {folder} --rounds 1",
    "cohorts": "--data {data} --out {out} --folder {folder} --rounds 1 --background 40 --tables",
    "dag": "--out {out} --shards 20 --empty 3 --single 1 --sites 2000 --scratch {folder}",
    "dense": "--data {data} --out {out} --sites 20 --steps 2 --threads 1",
    "end_to_end": "--data {data} --out {out} --background 40",
    "export": "--rounds 1 --wide 20 --narrow 200 --out {out}",
    "families": "--small --rounds 1 --threads 1 --out {out}",
    "first_run": "--data {data} --variants 5 --small --out {out}",
    "gpu": "--device cpu --quick --out {out}",
    "interruption": "--kills 1 --sites 600 --out {out}",
    "normalise": "--data {data} --out {out} --repeats 1 --records 50 --samples 20",
    "scaffolds": "--sites 40 --contigs 80 --background 20 --folder {folder}/s --out {out}",
    "score": "--alone --shapes 0.5M --rounds 1 --threads 1 --share 0.02 --out {out}",
    "score_tables": "--data {data} --out {out} --folder {folder} --repeats 1",
    "store_lookup": "--folder {folder} --out {out} --rows 50000 --sites 1000 --rounds 1 --alone",
    "train": "--alone --steps 2 --batch 2 --rounds 1 --threads 1 --out {out}",
    "whole_genome": "--data {data} --out {out} --small",
    "windows": "--windows 2000 --megabases 1",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_small_data(tmp_path_factory.mktemp("data"))


def test_every_benchmark_is_tried(root):
    assert {path.stem for path in (root / "benchmarks").glob("*.py")} == set(SMALL)


@pytest.mark.parametrize("name", smaller_benchmark.SMALLER)
def test_what_is_made_smaller_is_a_program_too(root, name):
    text = (root / "benchmarks" / f"{name}.py").read_text()
    assert text.endswith('\n\nif __name__ == "__main__":\n    main()\n')


def test_the_runs_and_cohorts_that_are_left_out_have_their_files_too(data):
    """The small data has the real data's layout."""
    runs = smaller_benchmark.script("end_to_end").RUNS.values()
    assert len(runs) == 3
    for fasta, cohorts in runs:
        assert [name for name in (fasta, *cohorts.values()) if not (data / name).is_file()] == []
    files = smaller_benchmark.script("cohorts").FILES.values()
    assert len(files) == 3
    assert [name for name in files if not (data / "yeast/cohorts" / name).is_file()] == []


@pytest.mark.parametrize("name", SMALL)
def test_it_runs_and_writes_its_figures(root, data, tmp_path, name):
    (tmp_path / "folder").mkdir()
    out = tmp_path / "figures"
    options = SMALL[name].format(data=data, out=out, folder=tmp_path / "folder")
    kept = {path: path.read_bytes() for path in (root / "benchmarks/results").iterdir()}
    script = [root / "benchmarks" / f"{name}.py"]
    if name in smaller_benchmark.SMALLER:
        script = [smaller_benchmark.__file__, name]
    done = subprocess.run(
        [sys.executable, *script, *options.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(out.read_text() if "{out}" in SMALL[name] else done.stdout) > 100
    now = {path: path.read_bytes() for path in (root / "benchmarks/results").iterdir()}
    assert now == kept, "a trial must not replace the figures that are kept"
