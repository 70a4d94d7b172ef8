"""The cohort sheet: which VCF files are which cohort's, checked whole, all errors at once."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from varlm.errors import UserError
from varlm.run.config_keys import COHORT_NAME, SHEET_COLUMNS, CohortFile, is_address

Cohorts = dict[str, list[CohortFile]]
WHERE = "in the cohort sheet"


def checked_cohorts(
    sheet: Path, reserved: Collection[str], located: Callable[[str], str] = str
) -> tuple[Cohorts, list[str]]:
    """Return the cohorts of a sheet, in its order, and its errors.

    Whether the files are there is not looked up (`varlm.run.inputs`).

    Parameters
    ----------
    sheet : Path
    reserved : collection of str
        Names that no cohort may have, in any case: `REGIONS_COHORT` where regions are scored.
    located : callable
        Gives the path of a file from what a cell says (`Shipped.path`).

    Raises
    ------
    UserError
        If the sheet cannot be read, or is empty.
    """
    lines = _lines(sheet)
    header_line, header = lines[0][0], [name.strip() for name in lines[0][1]]
    if errors := _header_errors(header_line, header):
        return {}, errors
    cohorts: Cohorts = {}
    first_line: dict[tuple[str, str | Path], int] = {}
    for number, row in lines[1:]:
        cells = [cell.strip() for cell in row]
        entry, problems = _cohort_file(header, cells, number, located)
        errors += [f"line {number}: {problem}" for problem in problems]
        if entry is None:
            continue
        place = entry.vcf if is_address(entry.vcf) else Path(entry.vcf).resolve()
        earlier = first_line.setdefault((entry.cohort, place), number)
        if earlier != number:
            errors.append(
                f"line {number}: {entry.vcf} is already a file of cohort {entry.cohort} "
                f"(line {earlier}); its variants would count twice: remove one line"
            )
        cohorts.setdefault(entry.cohort, []).append(entry)
    if not errors and not cohorts:
        errors.append("no cohort is listed below the header; add a line for each VCF")
    return cohorts, [*errors, *_name_errors(cohorts, reserved)]


def _lines(sheet: Path) -> list[tuple[int, list[str]]]:
    """Return the lines that are neither empty nor a comment, with their 1-based numbers."""
    try:
        text = sheet.read_text("utf-8-sig")
    except FileNotFoundError as error:
        raise UserError(
            f"{sheet}: the cohort sheet cannot be read (no such file, relative to {Path.cwd()}); "
            "config key cohorts must name a TSV with the columns cohort and vcf, and --configfile "
            "your config: without it the demo's is read"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{sheet}: the cohort sheet cannot be read ({error}); "
            "config key cohorts must name a TSV with the columns cohort and vcf"
        ) from error
    rows = csv.reader(text.splitlines(), delimiter="\t")
    lines = [(n, row) for n, row in enumerate(rows, 1) if row and not row[0].startswith("#")]
    if not lines:
        raise UserError(f"{sheet}: the cohort sheet is empty; expected the columns cohort and vcf")
    return lines


def _header_errors(line: int, header: Sequence[str]) -> list[str]:
    unknown = [name for name in header if name not in SHEET_COLUMNS]
    lacking = [name for name in ("cohort", "vcf") if name not in header]
    return [
        *(
            f"line {line}: unknown column {name!r}; known: {', '.join(SHEET_COLUMNS)} "
            "(columns are separated by tabs)"
            for name in unknown
        ),
        *(
            f"line {line}: the column {name} is missing (columns are separated by tabs)"
            for name in lacking
        ),
        *(f"column {name!r} is given twice" for name in set(header) if header.count(name) > 1),
    ]


def _name_errors(
    cohorts: Mapping[str, Sequence[CohortFile]], reserved: Collection[str]
) -> list[str]:
    """Return what is wrong with names, and with what the lines of one cohort say together."""
    errors = []
    by_folded: dict[str, str] = {}
    for name, files in cohorts.items():
        other = by_folded.setdefault(name.casefold(), name)
        if other != name:
            errors.append(f"cohorts {other} and {name} differ only in case; rename one")
        labels = sorted({file.labels for file in files if file.labels is not None})
        if len(labels) > 1:
            errors.append(
                f"cohort {name} has the labels {' and '.join(labels)}; a cohort has one file of "
                "them: join these"
            )
        if name.casefold() in reserved:
            errors.append(
                f"the cohort name {name} is taken by the config key {name.casefold()}, whose "
                "results have that name; rename the cohort"
            )
    return errors


def _cohort_file(
    header: Sequence[str], row: Sequence[str], line: int, located: Callable[[str], str]
) -> tuple[CohortFile | None, list[str]]:
    if len(row) != len(header):
        return None, [f"found {len(row)} columns, expected {len(header)}"]
    cells = {name: value for name, value in zip(header, row, strict=True) if value}
    problems = [f"the {name} is empty" for name in ("cohort", "vcf") if name not in cells]
    name = cells.get("cohort", "")
    if name and not COHORT_NAME.fullmatch(name):
        problems.append(
            f"the cohort name {name!r} cannot be a folder name; use letters, digits, "
            "'.', '_' and '-', starting with a letter or digit"
        )
    for column in ("vcf", "labels"):
        try:
            if column in cells:
                cells[column] = located(cells[column])
        except UserError as error:
            problems.append(f"{column}: {error}")
    records, sha256 = cells.get("records"), cells.get("sha256")
    if records is not None and not records.isdecimal():
        problems.append(f"records is {records!r}; expected a number of records")
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        problems.append(f"sha256 is {sha256!r}; expected 64 hexadecimal digits")
    if problems:
        return None, problems
    count = int(records) if records is not None else None
    digest = sha256.lower() if sha256 is not None else None
    return CohortFile(name, cells["vcf"], count, digest, cells.get("labels"), line), []
