"""The cohort sheet."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection
from pathlib import Path

from varlm.errors import UserError
from varlm.run.config_keys import COHORT_NAME, SHEET_COLUMNS, CohortFile, is_address


def load_cohorts(
    sheet: Path, reserved: Collection[str] = (), *, must_exist: bool = True
) -> dict[str, list[CohortFile]]:
    """Read the cohort sheet: cohort → its files, in the sheet's order.

    Parameters
    ----------
    sheet : Path
    reserved : collection of str
        Names that no cohort may have, in any case: `REGIONS_COHORT` where regions are scored.
    must_exist : bool
        Whether each VCF must be there by now; False where rules of another workflow may make it.

    Raises
    ------
    UserError
        One message with all errors, each with its line: a missing or unknown column, an empty
        cell, a name that is no file name, a VCF that does not exist or is listed twice.
    """
    try:
        text = sheet.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{sheet}: the cohort sheet cannot be read ({error}); "
            "config key cohorts must name a TSV with the columns cohort and vcf"
        ) from error
    rows = list(csv.reader(text.splitlines(), delimiter="\t"))
    lines = [(n, row) for n, row in enumerate(rows, 1) if row and not row[0].startswith("#")]
    if not lines:
        raise UserError(f"{sheet}: the cohort sheet is empty; expected the columns cohort and vcf")
    header = [name.strip() for name in lines[0][1]]
    errors = [
        f"line {lines[0][0]}: unknown column {name!r}; known: {', '.join(SHEET_COLUMNS)} "
        "(columns are separated by tabs)"
        for name in header
        if name not in SHEET_COLUMNS
    ]
    errors += [
        f"line {lines[0][0]}: the column {name} is missing (columns are separated by tabs)"
        for name in ("cohort", "vcf")
        if name not in header
    ]
    errors += [f"column {n!r} is given twice" for n in set(header) if header.count(n) > 1]
    cohorts: dict[str, list[CohortFile]] = {}
    if not errors:
        seen: dict[tuple[str, str | Path], int] = {}
        for number, row in lines[1:]:
            entry, problems = _cohort_file(header, [cell.strip() for cell in row], must_exist)
            errors += [f"line {number}: {problem}" for problem in problems]
            if entry is None:
                continue
            place = entry.vcf if is_address(entry.vcf) else Path(entry.vcf).resolve()
            file = (entry.cohort, place)
            if file in seen:
                errors.append(
                    f"line {number}: {entry.vcf} is already a file of cohort {entry.cohort} "
                    f"(line {seen[file]}); its variants would count twice: remove one line"
                )
            seen.setdefault(file, number)
            cohorts.setdefault(entry.cohort, []).append(entry)
        if not errors and not cohorts:
            errors.append("no cohort is listed below the header; add a line for each VCF")
        by_folded: dict[str, str] = {}
        for name in cohorts:
            other = by_folded.setdefault(name.casefold(), name)
            if other != name:
                errors.append(f"cohorts {other} and {name} differ only in case; rename one")
            known = sorted({f.labels for f in cohorts[name] if f.labels is not None})
            if len(known) > 1:
                errors.append(
                    f"cohort {name} has the labels {' and '.join(known)}; a cohort has one file of "
                    "them: join these"
                )
            if name.casefold() in reserved:
                errors.append(
                    f"the cohort name {name} is taken by the config key {name.casefold()}, whose "
                    "results have that name; rename the cohort"
                )
    if errors:
        listed = "\n".join(f"  - {line}" for line in errors)
        count = f"{len(errors)} error{'s' if len(errors) > 1 else ''}"
        raise UserError(f"{sheet}: {count} in the cohort sheet:\n{listed}")
    return cohorts


def _cohort_file(
    header: list[str], row: list[str], must_exist: bool
) -> tuple[CohortFile | None, list[str]]:
    if len(row) != len(header):
        return None, [f"found {len(row)} columns, expected {len(header)}"]
    cells = {name: value for name, value in zip(header, row, strict=True) if value}
    problems = [f"the {name} is empty" for name in ("cohort", "vcf") if name not in cells]
    name, vcf = cells.get("cohort", ""), cells.get("vcf", "")
    if name and not COHORT_NAME.fullmatch(name):
        problems.append(
            f"the cohort name {name!r} cannot be a folder name; use letters, digits, "
            "'.', '_' and '-', starting with a letter or digit"
        )
    if vcf and must_exist and not is_address(vcf) and not Path(vcf).is_file():
        problems.append(
            f"{vcf} does not exist or is not a file (relative to {Path.cwd()}); check the path"
        )
    labels = cells.get("labels")
    if labels and must_exist and not is_address(labels) and not Path(labels).is_file():
        problems.append(
            f"the labels {labels} do not exist or are no file (relative to {Path.cwd()}); check "
            "the path"
        )
    records = cells.get("records")
    if records is not None and not records.isdecimal():
        problems.append(f"records is {records!r}; expected a number of records")
    sha256 = cells.get("sha256")
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        problems.append(f"sha256 is {sha256!r}; expected 64 hexadecimal digits")
    if problems:
        return None, problems
    count = int(records) if records is not None else None
    digest = sha256.lower() if sha256 is not None else None
    return CohortFile(name, vcf, count, digest, labels), []
