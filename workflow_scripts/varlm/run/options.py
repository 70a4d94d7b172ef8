"""What rules hand to the steps as options, for `{params.x:q}`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from varlm.run.config_keys import CohortFile


def flags(name: str, values: Iterable[object]) -> list[str]:
    """Return [name, value, name, value, …] of the values that are not None."""
    return [str(item) for value in values if value is not None for item in (name, value)]


def pairs(mapping: Mapping[str, object]) -> list[str]:
    """Return a config mapping as NAME=VALUE, for `flags`."""
    return [f"{name}={value}" for name, value in mapping.items()]


def named(names: Iterable[str], files: Iterable[str]) -> list[str]:
    """Return NAME=FILE of names and of where their files lie on this machine, in the same order."""
    return [f"{name}={file}" for name, file in zip(names, files, strict=True)]


def located_flags(
    paths: Mapping[str, str], addresses: Iterable[str], files: Iterable[str]
) -> list[str]:
    """Return where what has another name in the config or the sheet lies, for check_inputs.

    Parameters
    ----------
    paths : mapping
        `varlm:NAME` → path.
    addresses, files : iterable of str
        Addresses, and where their files lie on this machine, in the same order.
    """
    places = [*paths.items(), *zip(addresses, files, strict=True)]
    return [word for name, path in places for word in ("--located", name, str(path))]


def area_flags(regions: Mapping[str, Any] | None) -> list[str]:
    """Return where to score every SNV, but for a BED file, as options of the step saturate."""
    if regions is None:
        return []
    everywhere = regions["contigs"] == "all"
    return [
        *(["--all-contigs"] if everywhere else flags("--contig", regions["contigs"] or [])),
        *flags("--sample", [regions["sample"]]),
        *(flags("--seed", [regions["seed"]]) if regions["sample"] else []),
    ]


def expected_flags(files: Iterable[CohortFile]) -> list[str]:
    """Return what the cohort sheet says of a cohort's files, as options of the step normalise."""
    return [
        flag
        for index, file in enumerate(files)
        for flag in (
            *flags("--expect-records", [_of(index, file.records)]),
            *flags("--expect-sha256", [_of(index, file.sha256)]),
        )
    ]


def _of(index: int, expected: object) -> str | None:
    return None if expected is None else f"{index}:{expected}"


def genomes_with(training: Mapping[str, Any], kind: str) -> dict[str, str]:
    """Return genome → its file, of a training's genomes that have one of this kind.

    Parameters
    ----------
    training : mapping
        An entry of the config key `train`.
    kind : str
        `fasta` or `annotation`.
    """
    genomes = training["genomes"].items()
    return {name: files[kind] for name, files in genomes if files[kind] is not None}


def genome_flags(training: Mapping[str, Any], kind: str, files: Iterable[str]) -> list[str]:
    """Return NAME=FILE of each genome that has such a file, as options of prepare_training."""
    flag = {"fasta": "--genome", "annotation": "--annotation"}[kind]
    return flags(flag, named(genomes_with(training, kind), files))


def kept_flags(windows: Mapping[str, Any]) -> list[str]:
    """Return what becomes of copies and of what is similar, as options of prepare_training."""
    options = {
        ("copies", "keep"): "--keep-copies",
        ("copies", "families"): "--families",
        ("similar", "keep"): "--keep-similar",
    }
    return [option for (key, value), option in options.items() if windows[key] == value]


def share_flags(training: Mapping[str, Any]) -> list[str]:
    """Return the groups of a training's genomes and their shares, as options of prepare_training.

    None where genomes are drawn as they are: the options of a config of before stay the same.
    """
    shares = training["windows"]["shares"]
    if shares is None:
        return []
    groups = {name: files["group"] for name, files in training["genomes"].items()}
    return [*flags("--group", pairs(groups)), *flags("--share", pairs(shares))]


def element_contigs(training: Mapping[str, Any]) -> list[str]:
    """Return where a training's elements are measured: as asked, or where it was not trained."""
    asked = training["elements"]["contigs"]
    return list(map(str, asked or training["held_out"] or training["validation"]))


def element_flags(training: Mapping[str, Any]) -> list[str]:
    """Return which elements and motifs are measured how, as options of measure_elements."""
    elements = training["elements"]
    return [
        *flags("--contig", element_contigs(training)),
        *flags("--length", [elements["length"] or training["windows"]["length"]]),
        *(
            option
            for name in ("pairs", "windows", "masked", "seed")
            for option in flags(f"--{name}", [elements[name]])
        ),
    ]
