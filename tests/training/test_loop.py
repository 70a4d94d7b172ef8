"""The loop: schedules, resumption, early stop, faults; one process, several, and a killed one."""

import math
import os
import signal
import subprocess
import sys
import time

import polars as pl
import pytest
import torch

from making.training import (
    MODEL,
    PROGRAM,
    command,
    new_training,
    periodic_corpus,
    settings,
    small_corpus,
)
from varlm.cli import main
from varlm.errors import UserError
from varlm.models.loading import load_model


def losses(training):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in training.curve]


@pytest.fixture
def corpus(tmp_path):
    return small_corpus(tmp_path)


# Schedules -------------------------------------------------------------------------------------


def test_the_learning_rate_rises_and_falls():
    rate = settings(steps=10, warmup_steps=4, learning_rate=1.0).rate
    assert [rate(i) for i in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert [round(rate(i), 4) for i in range(4, 10)] == [1.0, 0.933, 0.75, 0.5, 0.25, 0.067]
    for schedule, expected in (
        ("constant", [1.0] * 6),
        ("linear", [1.0, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6]),
        ("trapezoid", [1.0, 1.0, 1.0, 1.0, 2 / 3, 1 / 3]),
    ):
        chosen = settings(
            steps=10, warmup_steps=4, learning_rate=1.0, schedule=schedule, decay_steps=3
        )
        assert [chosen.rate(i) for i in range(4, 10)] == pytest.approx(expected)
    assert settings(warmup_steps=0, schedule="constant", learning_rate=1.0).rate(0) == 1.0


def test_the_config_has_every_setting_of_the_loop():
    from dataclasses import fields

    from varlm.run.config_keys import LOOP

    assert {field.name for field in fields(settings())} == {*LOOP, "jitter"}


@pytest.mark.parametrize("options", [(), ("--held-out", "h")])
def test_without_validation_contigs_the_last_weights_are_kept(tmp_path, caplog, options):
    """Also where contigs are held out, which would not be unseen any more if they chose."""
    from making.training import bases, make_corpus

    contigs = {"a": bases(600, 1), "h": bases(300, 2)}
    corpus = make_corpus(tmp_path, {"g": contigs}, *options)
    training = new_training(corpus, patience=1)
    training.run()
    assert "the weights of the last step are kept, and patience ends nothing" in caplog.text
    assert [row["validation_loss"] for row in training.curve] == [None, None]
    assert all(
        torch.equal(training.best_tensors()[k], v) for k, v in training.network.tensors().items()
    )


# Training --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    [
        {**MODEL, "hidden_size": 32},
        {"family": "lstm", "hidden_size": 32, "num_hidden_layers": 1},
        {"family": "gpt", "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2},
    ],
    ids=["gpn", "lstm", "gpt"],
)
def test_a_rule_of_the_sequence_is_learnt(tmp_path, model):
    training = new_training(
        periodic_corpus(tmp_path),
        model,
        **{"steps": 150, "batch_size": 16, "micro_batch": 16, "evaluate_every": 150},
    )
    training.run()
    assert training.curve[-1]["validation_loss"] < 0.8 < math.log(4)


def test_the_curve_has_losses_by_region(tmp_path):
    from making.training import GFF, bases, make_corpus

    (tmp_path / "g.gff3").write_text(GFF.replace("c\t", "v\t"))
    corpus = make_corpus(
        tmp_path, {"g": {"a": bases(600, 1), "v": bases(400, 2)}}, "--validation", "v"
    )
    training = new_training(corpus)
    training.run()
    row = training.curve[-1]
    assert row["step"] == 6
    assert row["bases"] == 6 * 4 * 32
    parts = [row[f"loss_{n}"] for n in ("intergenic", "promoter", "intron", "exon", "coding")]
    known = [part for part in parts if part is not None]
    assert min(known) <= row["validation_loss"] <= max(known)
    assert row["loss_coding"] is not None


def test_micro_batches_add_up_to_the_batch(corpus):
    whole, parts = new_training(corpus), new_training(corpus, micro_batch=3)
    whole.run()
    parts.run()
    for one, other in zip(losses(whole), losses(parts), strict=True):
        assert numbers(one.values()) == pytest.approx(numbers(other.values()), rel=1e-4)


def test_the_best_weights_are_kept(corpus):
    training = new_training(corpus, steps=9, evaluate_every=3, learning_rate=0.3)
    seen = []
    training.run(
        on_row=lambda row: seen.append(
            (row["validation_loss"], {k: v.clone() for k, v in training.network.tensors().items()})
        )
    )
    best = min(seen, key=lambda pair: pair[0])[1]
    assert all(torch.equal(training.best_tensors()[k], v) for k, v in best.items())


def test_patience_ends_a_training(corpus):
    training = new_training(corpus, steps=300, evaluate_every=2, patience=3, learning_rate=0.05)
    training.run()
    found = [row["validation_loss"] for row in training.curve]
    assert training.step < 300
    assert len(found) - 1 - found.index(min(found)) == 3


def test_a_loss_that_is_no_number_is_an_error(corpus):
    training = new_training(corpus, steps=50, learning_rate=1e30, clip=1e30)
    with pytest.raises(UserError, match=r"training step \d+: the loss is .*lower learning_rate"):
        training.run()


# Going on --------------------------------------------------------------------------------------


def test_a_training_goes_on_exactly(corpus, tmp_path):
    model = {**MODEL, "hidden_dropout_prob": 0.2}
    whole = new_training(corpus, model)
    whole.run()

    def halt(_):
        raise InterruptedError

    state = tmp_path / "state.pt"
    first = new_training(corpus, model)
    first.save(state)  # before the first step
    with pytest.raises(InterruptedError):
        first.run(state, on_row=halt)  # after step 3, whose row is not in the saved state
    second = new_training(corpus, model)
    for _ in range(2):
        second._update(second.sampler.batch(second.step))
        second.step += 1
    second.save(state)
    third = new_training(corpus, model)
    third.run(state)
    assert losses(third) == losses(whole)
    tensors = whole.network.tensors()
    assert all(torch.equal(third.network.tensors()[k], v) for k, v in tensors.items())


def test_a_longer_training_goes_on_while_the_rates_are_the_same(corpus, tmp_path):
    state = tmp_path / "state.pt"
    changes = {"schedule": "trapezoid", "decay_steps": 2}
    short = new_training(corpus, steps=8, **changes)
    for _ in range(5):
        short._update(short.sampler.batch(short.step))
        short.step += 1
    short.save(state)
    longer = new_training(corpus, steps=12, **changes)
    longer.load(state)
    assert longer.step == 5
    with pytest.raises(UserError, match="the learning rates of steps that are done changed"):
        new_training(corpus, steps=8, schedule="linear").load(state)
    with pytest.raises(UserError, match="another training: batch_size, seed changed since"):
        new_training(corpus, steps=8, seed=9, batch_size=5, **changes).load(state)
    with pytest.raises(UserError, match="another training: model changed since"):
        new_training(corpus, {**MODEL, "hidden_size": 17}, steps=8, **changes).load(state)


def test_a_state_whose_held_out_contigs_chose_goes_on_without_their_choice(tmp_path):
    """As earlier code wrote it: the weights of its best point are not the checkpoint's."""
    from making.training import bases, make_corpus

    contigs = {"a": bases(600, 1), "h": bases(300, 2)}
    corpus = make_corpus(tmp_path, {"g": contigs}, "--held-out", "h")
    earlier = new_training(corpus)
    earlier._update(earlier.sampler.batch(0))
    earlier.step = 1
    earlier.best = {k: torch.zeros_like(v) for k, v in earlier.network.tensors().items()}
    earlier.best_loss = 1.2
    earlier.curve = [{"step": 1, "train_loss": 1.3, "validation_loss": 1.2, "loss_coding": 1.1}]
    earlier.save(tmp_path / "state.pt")
    training = new_training(corpus)
    training.run(tmp_path / "state.pt")
    assert training.step == 6
    last = training.network.tensors()
    assert all(torch.equal(training.best_tensors()[k], v) for k, v in last.items())
    assert [row["validation_loss"] for row in training.curve] == [None] * 3
    assert training.curve[0] == {
        **{"step": 1, "train_loss": 1.3, "validation_loss": None, "loss_coding": None}
    }


def test_a_damaged_state_is_an_error(corpus, tmp_path):
    state = tmp_path / "state.pt"
    training = new_training(corpus)
    training.save(state)
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(UserError, match="not a readable training state"):
        new_training(corpus).run(state)


def numbers(values):
    """Return the values, −1 for those that are missing: regions that are not there."""
    return [-1 if value is None else value for value in values]


def curve(out):
    return pl.read_csv(out / "curve.tsv", separator="\t").drop("seconds")


@pytest.mark.slow
def test_a_killed_training_reaches_the_same_curve(tmp_path):
    """SIGKILL at any time: the state on disk is whole, and the rest is computed again."""
    small_corpus(tmp_path)
    changes = {"steps": 60, "evaluate_every": 4, "batch_size": 8}
    assert main([str(a) for a in command(tmp_path, tmp_path / "whole", **changes)]) == 0
    out = tmp_path / "killed"
    arguments = [sys.executable, PROGRAM, *map(str, command(tmp_path, out, **changes))]
    kills = 0
    for rows in (2, 6, 10):
        process = subprocess.Popen(arguments, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            done = out / "curve.tsv"
            if done.exists() and done.read_text().count("\n") > rows:
                process.send_signal(signal.SIGKILL)
                kills += 1
                break
            time.sleep(0.001)
        process.wait()
    subprocess.run(arguments, check=True, stderr=subprocess.DEVNULL)
    assert kills
    assert curve(out).equals(curve(tmp_path / "whole"))
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        one, other = (tmp_path / folder / "checkpoint" / name for folder in ("whole", "killed"))
        assert one.read_bytes() == other.read_bytes()


@pytest.mark.slow
def test_two_processes_train_one_model(tmp_path):
    """Each has a share of every batch; the sums are the same."""
    small_corpus(tmp_path)
    assert main([str(a) for a in command(tmp_path, tmp_path / "one", batch_size=5)]) == 0
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    arguments = map(str, command(tmp_path, tmp_path / "two", batch_size=5))
    subprocess.run(
        [sys.executable, PROGRAM, *arguments, "--processes", "2"],
        check=True,
        env=environment,
        capture_output=True,
    )
    one, two = curve(tmp_path / "one"), curve(tmp_path / "two")
    assert one.columns == two.columns
    for a, b in zip(one.rows(), two.rows(), strict=True):
        assert numbers(a) == pytest.approx(numbers(b), rel=1e-4)
    load_model(tmp_path / "two/checkpoint")


def test_bfloat16_trains_alike(corpus):
    plain, rounded = new_training(corpus), new_training(corpus, precision="bfloat16")
    plain.run()
    rounded.run()
    one, other = (t.curve[-1]["validation_loss"] for t in (plain, rounded))
    assert one != other
    assert one == pytest.approx(other, abs=0.02)
