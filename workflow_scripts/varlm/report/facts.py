"""The section "What was run": cohort and reference, files, annotation, settings, versions."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from varlm import __version__
from varlm.errors import first_few
from varlm.report.inputs import ReportInput
from varlm.report.text import count, cut
from varlm.variants.accounting import AccountedFile

Facts = list[tuple[str, object]]  # names and values, in the order shown

_FILES = 40
_FEW_CONTIGS = 5  # with one genetic code, that are named
_SETTINGS = 200  # values of the config
_PACKAGES = (
    "snakemake",
    "torch",
    "numpy",
    "polars",
    "pysam",
    "altair",
    "vl-convert-python",
    "jinja2",
)


@dataclass(frozen=True)
class InputFile:
    """A file of the cohort, its numbers as text."""

    path: str
    format: str
    records: str
    alleles: str
    sha256: str


@dataclass(frozen=True)
class RunSection:
    """What was run.

    Attributes
    ----------
    cohort, annotation, settings, versions : list of (name, value)
        `annotation` is empty where there is none.
    files : list of InputFile
        The first ones.
    files_total, settings_left_out : int
        Files there are, and values of the config that are not shown.
    """

    cohort: Facts
    files: list[InputFile]
    files_total: int
    annotation: Facts
    settings: Facts
    settings_left_out: int
    versions: Facts


def run_section(inputs: ReportInput) -> RunSection:
    """Return what was run, and on what."""
    files = inputs.accounting.files
    settings = flat_pairs(inputs.settings)
    return RunSection(
        cohort=cohort_facts(inputs),
        files=input_files(files[:_FILES]),
        files_total=len(files),
        annotation=annotation_facts(inputs.annotation),
        settings=settings[:_SETTINGS],
        settings_left_out=max(len(settings) - _SETTINGS, 0),
        versions=versions(),
    )


def cohort_facts(inputs: ReportInput) -> Facts:
    """Return the cohort's name and size, and the reference's."""
    contigs, reference = inputs.genome.contigs, inputs.settings.get("reference")
    fasta = reference.get("fasta") if isinstance(reference, Mapping) else None
    return [
        ("cohort", inputs.cohort),
        ("reference", fasta or "not recorded"),
        ("contigs", f"{contigs.height:,}"),
        *circular_facts(inputs.genome.circular),
        (
            "bases",
            f"{int(contigs['length'].sum()):,} bp, {int(contigs['acgt'].sum()):,} A, C, G, T",
        ),
        ("SNV sites", f"{inputs.accounting.sites:,}"),
        ("indels and MNVs", f"{inputs.accounting.other_alleles:,} distinct"),
    ]


def circular_facts(circular: Mapping[str, str]) -> Facts:
    """Return which contigs are circular, and who says so; nothing where none are."""
    if not circular:
        return []
    told = first_few((f"{contig} ({why})" for contig, why in circular.items()), 10)
    return [("circular contigs", f"{told}; what the model sees goes on over their origin")]


def input_files(files: Sequence[AccountedFile]) -> list[InputFile]:
    """Return the rows of the table of files."""
    return [
        InputFile(
            path=cut(file.path, 300),
            format=file.format,
            records=count(file.records),
            alleles=count(file.alleles),
            sha256=file.sha256[:16] + "…",
        )
        for file in files
    ]


def annotation_facts(annotation: Mapping[str, Any]) -> Facts:
    """Return what `annotation.json` says, its lists of contigs counted; nothing of no annotation.

    Parameters
    ----------
    annotation : mapping
        annotation.json, or nothing.
    """
    if not annotation:
        return []
    told = ("contigs", "genetic_codes", "circular")  # here, and by `circular_facts`
    short = {k: v for k, v in annotation.items() if k not in told}
    contigs = annotation.get("contigs", {}).values()
    known = sum(entry["contig"] is not None for entry in contigs)
    codes = {c: n for c, n in annotation.get("genetic_codes", {}).items() if n not in (0, 1)}
    facts = [
        *flat_pairs(short),
        ("contigs matched", f"{known:,} of {len(contigs):,}"),
        ("genetic codes", _codes_told(codes) or "the standard one"),
    ]
    return facts[:_SETTINGS]


def _codes_told(codes: Mapping[str, int]) -> str:
    """Return contigs and their genetic codes, one that many contigs have told once."""
    of_code: dict[int, list[str]] = {}
    for contig, code in codes.items():
        of_code.setdefault(code, []).append(contig)
    return ", ".join(
        ", ".join(f"{contig}: {code}" for contig in contigs)
        if len(contigs) <= _FEW_CONTIGS
        else f"{len(contigs):,} contigs: {code}"
        for code, contigs in of_code.items()
    )


def versions() -> Facts:
    """Return versions from the packages' metadata: nothing heavy is imported."""
    facts: Facts = [("varlm", __version__), ("python", platform.python_version())]
    for package in _PACKAGES:
        try:
            facts.append((package, metadata.version(package)))
        except metadata.PackageNotFoundError:
            facts.append((package, "not installed where this report was made"))
    return facts


def flat_pairs(value: object, name: str = "") -> Facts:
    """Return a nested mapping as pairs of a dotted name and a value."""
    if isinstance(value, Mapping):
        inside = [flat_pairs(v, f"{name}.{k}" if name else str(k)) for k, v in value.items()]
        return [pair for pairs in inside for pair in pairs]
    if isinstance(value, list | tuple):
        if any(isinstance(part, Mapping | list | tuple) for part in value):
            inside = [flat_pairs(part, f"{name}[{i}]") for i, part in enumerate(value)]
            return [pair for pairs in inside for pair in pairs]
        value = ", ".join(map(str, value)) or "none"
    return [(cut(name, 120), value)]
