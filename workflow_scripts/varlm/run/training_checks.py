"""What is wrong in the key `train` that its schema cannot tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from varlm.run.genome_groups import group_error
from varlm.run.model_settings import answers_bases, family_of
from varlm.run.options import element_contigs


def training_errors(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield which models to train cannot be, and which models name none."""
    trained = config["train"]
    known = ", ".join(trained) or "none"
    for name, model in config["models"].items():
        if (model["path"] is None) == (model["train"] is None):
            which = "neither" if model["path"] is None else "both"
            yield f"models.{name}: found {which} of path and train; give one of them"
        elif model["train"] is not None and model["train"] not in trained:
            yield f"models.{name}.train: found {model['train']!r}; the key train has {known}"
    for name, training in trained.items():
        twice = set(map(str, training["held_out"])) & set(map(str, training["validation"]))
        for contig in sorted(twice):
            yield (
                f"train.{name}.validation: {contig} is in held_out too; a contig that chose the "
                "model cannot test it: name it in one of them"
            )
        yield from _start_errors(name, trained)
        groups = {genome: files["group"] for genome, files in training["genomes"].items()}
        if (error := group_error(groups, training["windows"]["shares"])) is not None:
            yield f"train.{name}.windows.shares: {error}"
        if training["elements"] is not None:
            yield from _element_errors(name, config)
        for other in training["compare"]:
            if other not in trained or other == name:
                yield (
                    f"train.{name}.compare: found {other!r}; name others of the key train, {known}"
                )
            else:
                yield from _comparison_errors(name, other, trained)


def _comparison_errors(name: str, other: str, trained: Mapping[str, Any]) -> Iterator[str]:
    """Say why a training cannot be measured on another's test contigs.

    Other genomes may be trained on: what tests must be held out there, too.
    """
    training, compared = trained[name], trained[other]
    if compared["windows"]["length"] != training["windows"]["length"]:
        yield (
            f"train.{name}.compare: {other} is trained on windows of "
            f"{compared['windows']['length']} bp, expected {training['windows']['length']} bp as "
            "here; a perplexity depends on what is seen around a base"
        )
    tests = map(str, training["held_out"] or training["validation"])
    left_out = set(map(str, [*compared["held_out"], *compared["validation"]]))
    if trained_on := [contig for contig in tests if contig not in left_out]:
        yield (
            f"train.{name}.compare: {other} is trained on {', '.join(trained_on)}, which test "
            f"{name}; hold the same contigs out in both"
        )


def _start_errors(name: str, trained: Mapping[str, Any]) -> Iterator[str]:
    """Say why a training cannot start from another."""
    start = trained[name]["start"]
    if trained[name]["model"]["family"] == "markov" and start is not None:
        yield (
            f"train.{name}.start: found {start!r}; a Markov chain is counted anew from its "
            "genomes: remove the key"
        )
    if start not in trained:
        return
    seen, other = [name], start
    while other in trained and other not in seen:
        seen.append(other)
        other = trained[other]["start"]
    if other == name:
        yield f"train.{name}.start: found {start!r}; the trainings {', '.join(seen)} wait in a ring"
    for key in ("held_out", "validation"):
        if set(map(str, trained[start][key])) != set(map(str, trained[name][key])):
            yield (
                f"train.{name}.start: {start} has other contigs in {key}; what it was trained on "
                "could not test this one"
            )


def _element_errors(name: str, config: Mapping[str, Any]) -> Iterator[str]:
    """Say why elements and motifs cannot be measured with a training."""
    key, training, models = f"train.{name}.elements", config["train"][name], config["models"]
    elements = training["elements"]
    if elements["bed"] is None and elements["motifs"] is None:
        yield f"{key}: found neither bed nor motifs; name a BED file, a MEME file or both"
    if not element_contigs(training):
        yield (
            f"{key}: every contig is trained on; name some in held_out or validation, or those to "
            f"measure in {key}.contigs"
        )
    for model in elements["models"]:
        if model not in models:
            known = ", ".join(models) or "none"
            yield f"{key}.models: found {model!r}; name some of the key models, {known}"
        elif model in (name, *training["compare"]):
            yield (
                f"{key}.models: {model} is the name of a training that is measured anyway; leave "
                "it out, or give the model another name"
            )
        elif (family := family_of(config, models[model])) and not answers_bases(family):
            yield (
                f"{key}.models: {model} is a {family.title}, which does not answer every base of "
                "a window; leave it out"
            )
