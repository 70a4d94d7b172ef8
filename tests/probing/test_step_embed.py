"""The step embed as the workflow calls it, and killed in the middle of it."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import polars as pl
import pytest

from making.toy_models import CONFIGS, make_checkpoint
from varlm import cli
from varlm.models.preparing import prepare
from varlm.probing.parts import open_embeddings, part_path

ROWS, SIZE = 3000, 24
SETTINGS = {
    "label": "y",
    "absolute": False,
    "positive": [],
    "negative": [],
    "length": None,
    "positions": "all",
    "folds": "chrom",
}


@pytest.fixture
def command(tmp_path, make_reference):
    """A function: where to → the step's arguments, of a table of more than two parts."""
    reference = make_reference({"chr1": "ACGT" * 100})
    checkpoint = make_checkpoint(tmp_path / "gpn", CONFIGS["convnet"])
    model = prepare(checkpoint, name="m", path="x", revision=None, precision="auto", window=SIZE)
    model.write(tmp_path / "model.json")
    letters = np.random.default_rng(0).choice(list("ACGT"), (ROWS, SIZE))
    table = pl.DataFrame(
        {"sequence": ["".join(row) for row in letters], "y": range(ROWS), "chrom": ["a"] * ROWS}
    )
    table.write_parquet(tmp_path / "table.parquet")

    def command(folder):
        options = {
            "--probe": "mpra",
            "--table": tmp_path / "table.parquet",
            "--settings": json.dumps(SETTINGS),
            "--model": tmp_path / "model.json",
            "--reference": reference,
            "--embeddings": tmp_path / folder,
            "--device": "cpu",
            "--batch-size": "4",
        }
        return ["embed", *(str(word) for option in options.items() for word in option)]

    return command


def test_a_killed_step_goes_on_where_it_was(command, root, tmp_path, caplog):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    program = [sys.executable, root / "workflow_scripts", *command("killed")]
    process = subprocess.Popen(program, env={**os.environ, "OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 300
    while not part_path(killed, 0).exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (killed / "embeddings.json").exists()
    assert len(list(killed.glob("part-*.npy"))) < 3
    first = part_path(killed, 0).stat().st_ino
    with caplog.at_level("INFO"):
        assert cli.main(command("killed")) == 0
    assert "of 3000 rows are embedded already" in caplog.text
    assert part_path(killed, 0).stat().st_ino == first
    assert cli.main(command("whole")) == 0
    parts = [sorted(folder.glob("*.npy")) for folder in (whole, killed)]
    assert [path.name for path in parts[0]] == [path.name for path in parts[1]]
    assert len(parts[0]) == 3
    for one, other in zip(*parts, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert not list(killed.glob(".part*"))
    embeddings = open_embeddings(killed)
    assert embeddings.record.shape(1) == (1, SIZE, 24)
    assert embeddings.rows["label"].to_list() == [*range(ROWS)]


def test_what_is_wrong_is_one_line(command, tmp_path, capsys):
    pl.DataFrame({"sequence": ["ACGT"], "z": [1]}).write_parquet(tmp_path / "table.parquet")
    assert cli.main(command("out")) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith(f"error: probe.mpra: {tmp_path}/table.parquet has no column y")
