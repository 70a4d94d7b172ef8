"""What steps warned of is found in their logs, told once, and shown at the end of a run."""

import logging
import os

import pytest

from varlm import cli
from varlm.run.step_warnings import (
    STEPS,
    Configured,
    StepFormatter,
    StepWarning,
    log_times,
    shown_at_the_end,
    step_warnings,
)

WHEN = "2026-01-02 03:04:05"


@pytest.fixture
def results(tmp_path):
    def write(**logs):
        for name, texts in logs.items():
            path = tmp_path / "logs" / (name.replace("__", "/") + ".log")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"{WHEN} WARNING {text}\n" for text in texts))
        return tmp_path

    return write


def warned(folder, cohorts=("a", "b"), models=("m",), steps=STEPS, **more):
    configured = Configured(list(steps), cohorts, models, ("t",), ("cadd",))
    told = step_warnings(folder, configured, **more)
    return [(w.step, w.cohort, w.model, w.text) for w in told]


def test_every_step_is_known_in_words():
    assert set(STEPS) == set(cli.STEPS)


def test_each_log_is_of_its_step_cohort_and_model(results):
    folder = results(
        score__m__10=["ten"],
        score__m__2=["two"],
        score_pictures__a=["no model"],
        normalise__a=["one", "one"],
        index_reference=["all"],
        train__t=["long"],
    )
    (folder / "logs/score_pictures/a.b.m.log").write_text(f"{WHEN} WARNING dots\n")
    assert warned(folder, cohorts=("a.b", "a")) == [
        ("train", None, "t", "long"),
        ("index_reference", None, None, "all"),
        ("normalise", "a", None, "one"),
        ("score", None, "m", "two"),
        ("score", None, "m", "ten"),
        ("score_pictures", "a.b", "m", "dots"),
    ]
    assert warned(folder, with_shards=False)[2:] == [("normalise", "a", None, "one")]


def test_logs_of_published_scores_are_of_a_table(results):
    folder = results(rank_scores__cadd=["few"], rank_scores__gone=["x"])
    (folder / "logs/join_scores").mkdir()
    for name in ("a.cadd", "b.gone"):
        (folder / f"logs/join_scores/{name}.log").write_text(f"{WHEN} WARNING cadd: 3 rows\n")
    assert warned(folder) == [
        ("join_scores", "a", None, "cadd: 3 rows"),
        ("rank_scores", None, None, "few"),
    ]


def test_what_a_cohort_is_told_by_several_steps_is_told_once(results):
    folder = results(normalise__a=["cut?"], export__a=["cut?", "sorted"], export__b=["cut?"])
    assert warned(folder) == [
        ("normalise", "a", None, "cut?"),
        ("export", "a", None, "sorted"),
        ("export", "b", None, "cut?"),
    ]


def test_only_warnings_of_varlm_count(tmp_path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/index_reference.log").write_text(
        f"{WHEN} INFO    WARNING: no\n"
        "x.py:3: DeprecationWarning: old\n"
        f"{WHEN} WARNING [huggingface_hub.utils] slow\n"
        "error: WARNING\n"
        f"{WHEN} WARNING yes: WARNING too\n"
    )
    assert warned(tmp_path) == [("index_reference", None, None, "yes: WARNING too")]


def test_lines_of_other_packages_have_their_name():
    def line(name):
        record = logging.LogRecord(name, logging.WARNING, "", 1, "%s slow", ("very",), None)
        return StepFormatter().format(record)[20:]

    assert line("varlm.store.store") == "WARNING very slow"
    assert line("huggingface_hub.utils") == "WARNING [huggingface_hub.utils] very slow"


def test_logs_of_what_the_config_has_no_more_are_passed_over(results):
    folder = results(normalise__gone=["x"], plan__gone=["x"], evaluate__a=["x"], score__m__0=["x"])
    assert warned(folder, steps=[step for step in STEPS if step != "evaluate"]) == [
        ("score", None, "m", "x")
    ]
    (folder / "plan/m").mkdir(parents=True)
    (folder / "plan/m/plan.json").write_text("{}")
    os.utime(folder / "logs/score/m/0.log", (1, 1))  # of the plan before
    assert warned(folder) == [("evaluate", "a", None, "x")]


def test_no_logs(tmp_path):
    assert log_times(tmp_path / "logs") == {}
    assert warned(tmp_path) == []
    assert shown_at_the_end([], {}, "warnings.tsv") == ""


def test_the_end_of_a_run_shows_new_ones_first_and_like_ones_once():
    def of(step, text, cohort=None, model=None, log="old.log"):
        return StepWarning(step, cohort, model, text, log)

    warnings = [
        of("normalise", "odd", "a"),
        of("annotate", "no chrZ", "a", log="new.log"),
        of("annotate", "no chrZ", "b"),
        *(of("score", f"{n} MB are free", model="m", log="new.log") for n in (5, 7, 9)),
    ]
    is_new = {"new.log": True, "old.log": False}
    assert shown_at_the_end(warnings, is_new, "results/warnings.tsv").splitlines() == [
        "6 warnings (all in results/warnings.tsv):",
        "  - joining the annotated table, 2 cohorts: no chrZ",
        "  - scoring, model m: 5 MB are free (and 2 alike)",
        "  - reading the VCF files, cohort a: odd [an earlier run]",
    ]


def test_the_list_is_bounded():
    warnings = [StepWarning("normalise", "a", None, "x" * n, "l") for n in range(1, 35)]
    lines = shown_at_the_end(warnings, {"l": True}, "w.tsv").splitlines()
    assert len(lines) == 22
    assert lines[-1] == "  … and 14 more in w.tsv"
    (_, line) = shown_at_the_end(
        [StepWarning("normalise", "a", None, "x" * 9999, "l")], {}, "w.tsv"
    ).splitlines()
    assert len(line) < 700
