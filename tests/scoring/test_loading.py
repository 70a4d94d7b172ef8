"""The batch that a job starts with: what was in force in the job before, whoever had halved it."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from making.records import prepared_model
from making.toy_models import ToyModel
from varlm.genome.reference import Genome
from varlm.models import loading as models_loading
from varlm.run.environment import HALVINGS
from varlm.scoring.hardware import Hardware
from varlm.scoring.loading import first_batch
from varlm.scoring.partial_scores import Method, open_partial_scores
from varlm.scoring.shard import score_rows
from varlm.tables.schemas import SHARD

WINDOW = 16
MODEL = prepared_model(window=WINDOW, strands="forward")
SEQUENCE = "".join(np.random.default_rng(5).choice(list("ACGT"), 300))
ROWS = pl.DataFrame(
    [("one", pos, None, None) for pos in range(1, 201)], schema=SHARD.schema, orient="row"
)


class Small(ToyModel):
    """Runs out of memory above `limit` windows a batch; is stopped after `batches` batches."""

    def __init__(self, limit: int, batches: int):
        super().__init__()
        self.limit, self.left = limit, batches

    def _logits(self, ids):
        if len(ids) > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return super()._logits(ids)


@pytest.fixture
def start(tmp_path, make_reference, monkeypatch):
    """A function: a model → the scores of the shard, in a job of its own; sizes of its batches."""
    genome = Genome.open(make_reference({"one": SEQUENCE}))

    def run(model, asked):
        monkeypatch.setattr(models_loading, "load_model", lambda *_, **__: model)
        partial = open_partial_scores(tmp_path / "partial", {})
        try:
            return score_rows(ROWS, genome, MODEL, Hardware("cpu", asked), partial)
        finally:
            partial._lock.release()

    return run


def sizes(model) -> set[int]:
    return {shape[0] for shape in model.batches}


@pytest.mark.parametrize("asked", [16, None])
def test_a_job_goes_on_with_the_batch_that_memory_had_room_for(start, asked):
    """Fault 33: the record said 16, though 2 were in force when the job was stopped."""
    stopped = Small(limit=3, batches=20)
    with pytest.raises(KeyboardInterrupt):
        start(stopped, asked)
    assert min(sizes(stopped)) == 2
    resumed = Small(limit=100, batches=1000)
    scores = start(resumed, asked)
    assert scores.run.resumed > 0
    assert sizes(resumed) == {2}


def test_a_job_goes_on_with_the_batch_that_its_parent_had_halved(start, monkeypatch):
    """Fault 33: the kernel killed two jobs; the parent was stopped, and another starts one."""
    for halvings, expected in ((0, 16), (1, 8), (2, 4), (0, 4), (1, 2)):
        monkeypatch.setenv(HALVINGS, str(halvings))
        model = Small(limit=100, batches=4)
        with pytest.raises(KeyboardInterrupt):
            start(model, 16)
        assert sizes(model) == {expected}


def test_another_batch_is_taken_where_the_user_asks_for_it(start):
    with pytest.raises(KeyboardInterrupt):
        start(Small(limit=3, batches=20), 16)
    model = Small(limit=100, batches=1000)
    start(model, 32)
    assert sizes(model) == {32}


BEFORE = Method("float32", 8, "cpu", asked=None, halvings=1)


@pytest.mark.parametrize(
    ("asked", "before", "halvings", "size"),
    [
        (None, None, 0, 64),
        (None, None, 2, 16),
        (5, None, 1, 2),
        (1, None, 3, 1),
        (None, BEFORE, 0, 8),  # another parent, which has not halved
        (None, BEFORE, 1, 8),  # it crashed, or another parent halved before anything was kept
        (None, BEFORE, 2, 4),
        (4, BEFORE, 0, 4),
        (4, BEFORE, 1, 2),
        (None, replace(BEFORE, asked=8), 0, 64),
    ],
)
def test_only_halvings_that_are_news_count(asked, before, halvings, size):
    assert first_batch(asked, before, halvings, lambda: 64) == size


@pytest.mark.parametrize("has", [True, False])
def test_a_job_on_a_card_without_tf32_does_not_go_on_in_it(tmp_path, start, has):
    left = open_partial_scores(tmp_path / "partial", {})
    left.begin(Method("tf32", 4, "cpu"))
    left._lock.release()
    model = Small(limit=100, batches=1000)
    model.modes = lambda: ("float32", "tf32") if has else ("float32",)
    model.set_mode = lambda mode: setattr(model, "mode", mode)
    start(model, None)
    assert (model.mode, sizes(model) == {4}) == (("tf32", True) if has else ("float32", False))
