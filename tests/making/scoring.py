"""Rows to score: in the process itself, by any model; or as the step, a program of its own."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import psutil

from making.toy_models import CONFIGS, make_checkpoint
from varlm.models import preparing
from varlm.models.prepared import PreparedModel
from varlm.scoring import formulas, inference
from varlm.scoring.partial_scores import Method, open_partial_scores
from varlm.tables.schemas import SHARD

PROGRAM = [sys.executable, Path(__file__).resolve().parents[2] / "workflow_scripts"]
WINDOW = 64
CONTIG = "".join(np.random.default_rng(11).choice(list("ACGT"), 40_000))


def ascii_array(text: str) -> np.ndarray:
    """A sequence as the encoded genome has it."""
    return np.frombuffer(text.encode(), np.uint8)


def toy_model(folder: Path, window: int, score: str = "masked", **changes) -> PreparedModel:
    """The checkpoint in `folder` as prepare_model describes it: both strands, in float32."""
    settings = {"window": window, "strands": "both", "precision": "float32", "score": score}
    model = preparing.prepare(folder, name="toy", path=str(folder), revision=None, **settings)
    return replace(model, **changes)


class OneContig:
    """A genome of one contig, whatever it is called."""

    def __init__(self, sequence, circular):
        self._sequence = sequence
        self._contig = SimpleNamespace(circular=circular)

    def __getitem__(self, _):
        return self._contig

    def sequence(self, _):
        return self._sequence


def _scored(kind, scorer, sequence, rows, window, circular) -> pl.DataFrame:
    """Score rows of one kind as the step does; return the columns of scores."""
    partial = open_partial_scores(None, {})
    partial.begin(Method("float32", scorer.batch_size, "cpu"))
    shard = pl.DataFrame(rows, schema=SHARD.schema, orient="row")
    genome = OneContig(sequence, circular)
    inference.score_missing(scorer, kind, shard, genome, window, partial)
    return partial.scores(kind.schema)


def site_logits(scorer, sequence, positions, window, contig="contig", circular=False) -> np.ndarray:
    """Logits at 0-based positions of a contig, shape (n, 2, 4)."""
    rows = [(contig, int(position) + 1, None, None) for position in positions]
    scores = _scored(inference.SITES, scorer, sequence, rows, window, circular)
    return formulas.site_logits(scores)


def allele_ratios(
    scorer, sequence, positions, refs, alts, window, contig="contig", circular=False
) -> np.ndarray:
    """Log-likelihood ratios of indels and MNVs at 0-based positions of a contig, shape (n, 2)."""
    rows = [
        (contig, int(position) + 1, ref, alt)
        for position, ref, alt in zip(positions, refs, alts, strict=True)
    ]
    return _scored(inference.ALLELES, scorer, sequence, rows, window, circular).to_numpy()


class Job:
    """The step `score` on one shard of `sites` sites and some insertions.

    Its settings, model and shard lie in `folder`; the outputs of a run in `folder/NAME`.
    """

    def __init__(
        self,
        folder: Path,
        reference: Path,
        sites: int,
        insertions: int = 8,
        score: str = "masked",
    ):
        self.folder = folder
        self.reference = reference
        self.processes: list[subprocess.Popen] = []
        checkpoint_folder = make_checkpoint(folder / "model", CONFIGS["legacy"])
        toy_model(checkpoint_folder, WINDOW, score=score).write(folder / "model.json")
        rows = [("one", pos, None, None) for pos in range(1, sites + 1)]
        for pos in range(100, 100 * insertions + 100, 100):
            ref = CONTIG[pos - 1]
            rows.append(("one", pos, ref, ref + "GAT"))
        pl.DataFrame(rows, schema=SHARD.schema, orient="row").write_parquet(
            folder / "shard.parquet"
        )

    def out(self, name: str) -> Path:
        return self.folder / name

    def command(self, name: str, *options, supervise=True, patience=600) -> list[str]:
        out = self.out(name)
        words = ["supervise", "--patience", patience, "score"] if supervise else ["score"]
        words += ["--shard", self.folder / "shard.parquet", "--reference", self.reference]
        words += ["--model", self.folder / "model.json", "--device", "cpu", "--threads", "1"]
        words += ["--sites", out / "sites.parquet", "--alleles", out / "alleles.parquet"]
        words += ["--run", out / "run.json", "--partial", out / "partial", "--batch-size", "4"]
        return [str(word) for word in (*PROGRAM, *words, *options)]

    def start(
        self, name: str, *options, supervise=True, patience=600, **environment
    ) -> subprocess.Popen:
        out = self.out(name)
        out.mkdir(exist_ok=True)
        with (out / "log").open("a") as log:
            process = subprocess.Popen(
                self.command(name, *options, supervise=supervise, patience=patience),
                stderr=log,
                env={**os.environ, **environment},
                # As in a terminal, also where the tests run under nohup.
                preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
            )
        self.processes.append(process)
        return process

    def end(self) -> None:
        """End what a failed test left running."""
        for process in self.processes:
            process.kill()
            process.wait()

    def log(self, name: str) -> str:
        return (self.out(name) / "log").read_text()

    def tables(self, name: str) -> tuple[bytes, bytes]:
        return tuple(
            (self.out(name) / f).read_bytes() for f in ("sites.parquet", "alleles.parquet")
        )


def scored_so_far(job: Job, name: str) -> int:
    """Stretches of scores that are kept."""
    return len(list((job.out(name) / "partial").glob("*.arrow")))


def wait_until(condition, seconds: float = 120):
    """Wait until `condition()` is true, and return what it returned."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
    return found


def child_of(process: subprocess.Popen) -> psutil.Process:
    """The child that a supervising step started."""
    return wait_until(lambda: psutil.Process(process.pid).children())[0]
