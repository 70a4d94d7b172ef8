"""Which keys of a config and lines of the cohort sheet name inputs, and whether these are there."""

from __future__ import annotations

import contextlib
import difflib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from varlm.errors import UserError
from varlm.files.sniff import pointer
from varlm.run.checkpoint_folders import folder_problem, model_problem
from varlm.run.config_keys import SHEET_LABELS, CohortFile, is_address, label_tables, labels_of
from varlm.run.score_files import table_files
from varlm.run.shipped import SCHEME, Shipped

_MOST_NAMES = 10_000  # files of a folder that are looked through for a similar name
Pattern = tuple[str, ...]
_Stored = TypeVar("_Stored")

LABELS: Pattern = ("evaluate", "labels", "*", "table")
# Keys whose value is an input file; `*` stands for any name. `regions` may be one itself.
FILES: tuple[Pattern, ...] = (
    *(("reference", key) for key in ("fasta", "annotation", "aliases")),
    ("normalise", "regions"),
    ("regions",),
    ("regions", "bed"),
    ("annotate", "intervals", "*"),
    ("annotate", "bigwigs", "*"),
    LABELS,
    ("probe", "*", "table"),
    *(("train", "*", "genomes", "*", key) for key in ("fasta", "annotation")),
    *(("train", "*", "elements", key) for key in ("bed", "motifs", "fasta")),
)
# Keys whose value is a table of scores, or a pattern of files (`score_files.table_files`).
SCORES: Pattern = ("annotate", "scores", "*", "path")
# Keys whose value is a checkpoint's folder, or what stands for one.
MODELS: Pattern = ("models", "*", "path")
STARTS: Pattern = ("train", "*", "start")


@dataclass(frozen=True)
class Place:
    """Where a config names an input: its key as messages show it, and the mapping that holds it."""

    key: str
    holder: dict[str, Any]
    name: str

    @property
    def value(self) -> str:
        """What the config says there."""
        value: str = self.holder[self.name]
        return value


def places(config: Mapping[str, Any], patterns: Sequence[Pattern]) -> Iterator[Place]:
    """Yield each place of a config that names an input, also of a config that has errors.

    What is no text there names none.
    """
    for pattern in patterns:
        for key, holder, name in _matches(config, pattern, ()):
            value = holder[name]
            if isinstance(value, str) and value and (pattern, value) != (LABELS, SHEET_LABELS):
                yield Place(".".join(key), holder, name)


def _matches(
    value: Any, pattern: Pattern, above: Pattern
) -> Iterator[tuple[Pattern, dict[str, Any], str]]:
    if not isinstance(value, dict):
        return
    first, *rest = pattern
    for name in list(value) if first == "*" else [first] * (first in value):
        key = (*above, str(name))
        if rest:
            yield from _matches(value[name], tuple(rest), key)
        else:
            yield key, value, name


def addresses(
    config: Mapping[str, Any], cohorts: Mapping[str, Sequence[CohortFile]]
) -> Iterator[tuple[str, str]]:
    """Yield each input that is an address, with the key or the line that names it."""
    named = [(place.key, place.value) for place in places(config, FILES)]
    named += _score_files(config)
    for cohort, files in cohorts.items():
        where = f"{config['cohorts']}, cohort {cohort}"
        named += [
            (where, path) for path in (labels_of(files), *(file.vcf for file in files)) if path
        ]
    return ((key, value) for key, value in named if is_address(value))


def _score_files(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the key and each file of the tables of scores."""
    tables = [(place.key, place.value) for place in places(config, [SCORES])]
    return [(key, file) for key, path in tables for file in table_files(path)]


def has_credentials(address: str) -> bool:
    """Whether an address holds a user name or password, which would be in logs and reports."""
    return "@" in address.split("/")[2]


def storage_objects(
    named: Iterable[tuple[str, str]],
    storage: Callable[[str], _Stored],
    refusal: type[Exception],
) -> dict[str, _Stored]:
    """Return each input's address → the object by which Snakemake fetches it.

    Parameters
    ----------
    named : iterable of (key, address)
        As `addresses` yields them.
    storage : callable
        Snakemake's: address → object.
    refusal : type of exception
        What it raises where no storage plugin takes the address.

    Raises
    ------
    UserError
        One message with every address that cannot be fetched, or holds credentials.
    """
    objects, errors = {}, []
    for key, address in named:
        if has_credentials(address):
            errors.append(
                f"{key}: the address holds a user name or password, which would be in logs and "
                "reports; give them as docs/deployment.md says (Remote inputs)"
            )
            continue
        try:
            objects[address] = storage(address)
        except refusal as error:
            scheme = address.partition(":")[0]
            errors.append(
                f"{key}: {address} cannot be fetched: no storage plugin of Snakemake takes "
                f"{scheme}:// ({str(error).splitlines()[0]}); use a path, https:// or s3://, "
                "or install a plugin for it (snakemake-storage-plugin-…)"
            )
    if errors:
        listed = "\n".join(f"  - {line}" for line in errors)
        raise UserError(f"{len(errors)} inputs that cannot be fetched:\n{listed}")
    return objects


def find_shipped(config: dict[str, Any], shipped: Shipped) -> Iterator[str]:
    """Put paths where a config says `varlm:NAME`; yield an error for each name that is none."""
    for place in places(config, [*FILES, SCORES, MODELS, STARTS]):
        try:
            place.holder[place.name] = shipped.path(place.value)
        except UserError as error:
            yield f"{place.key}: {error}"


def missing(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield an error for each input file and checkpoint of a config that is not on the disk.

    Addresses, hub ids and models that the workflow trains are not looked up.
    """
    for place in places(config, FILES):
        if problem := file_problem(place.value):
            yield f"{place.key}: {problem}"
    for place in places(config, [SCORES]):
        if not table_files(place.value):
            yield (
                f"{place.key}: {place.value}: there is no file of this pattern (relative to "
                f"{Path.cwd()}); correct it"
            )
    for key, file in _score_files(config):
        if problem := file_problem(file):
            yield f"{key}: {problem}"
    for place in places(config, [MODELS]):
        if place.value.startswith(SCHEME):  # an error already
            continue
        if problem := model_problem(place.value, place.holder.get("revision")):
            yield f"{place.key}: {problem}"
    trained = config.get("train")
    trainings = trained if isinstance(trained, dict) else {}
    for place in places(config, [STARTS]):
        if place.value in trainings or place.value.startswith(SCHEME):
            continue
        if problem := folder_problem(place.value):
            others = ", ".join(map(str, trainings))
            yield f"{place.key}: {problem} and none of the key train ({others}); correct it"


def missing_in_sheet(cohorts: Mapping[str, Sequence[CohortFile]], sheet: Path) -> Iterator[str]:
    """Yield an error for each file of the cohort sheet that is not on the disk, with its line."""
    for files in cohorts.values():
        for file in files:
            for what, path in (("vcf", file.vcf), ("labels", file.labels)):
                if path is not None and (problem := file_problem(path, sheet)):
                    yield f"line {file.line}: {what}: {problem}"


def file_problem(path: str, beside: Path | None = None) -> str | None:
    """Return why a path names no input file; None for a file that is there, and for an address.

    A Git LFS pointer or a server's page is none, whatever it is called.

    Parameters
    ----------
    path : str
    beside : Path, optional
        A file in whose folder users look for others too: the cohort sheet.
    """
    if is_address(path) or path.startswith(SCHEME):
        return None
    try:
        status = Path(path).stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return f"{path}: input not found (relative to {Path.cwd()}); {_hint(path, beside)}"
    except OSError as error:
        return f"{path}: cannot be looked up ({error.strerror}); correct the path"
    if stat.S_ISDIR(status.st_mode):
        return f"{path}: found a folder, expected a file; name the file in it"
    if stat.S_ISREG(status.st_mode) and status.st_size == 0:
        return f"{path}: the file is empty (0 bytes); copy or make it again"
    if not os.access(path, os.R_OK):
        return f"{path}: cannot be read (its permissions); chmod it, or ask its owner"
    return pointer(Path(path))


def _hint(path: str, beside: Path | None) -> str:
    """Say what a path that leads to nothing may have been meant to be."""
    if path.startswith("~"):
        return "~ is not filled in here: write the whole path"
    with contextlib.suppress(OSError, ValueError):
        if Path(path).is_symlink():
            return f"it is a link to {Path(path).readlink()}, which is not there: link it anew"
        if beside is not None and (beside.parent / path).is_file():
            return (
                "paths are relative to the working directory, not to the sheet: did you mean "
                f"{beside.parent / path}?"
            )
        return _near(Path(path))
    return "correct the path"


def _near(path: Path) -> str:
    """Name the folder that is not there, or a file of a similar name."""
    folder = path.parent
    if not folder.is_dir():
        return f"there is no folder {folder}: correct the path"
    names = sorted(entry.name for entry in islice(os.scandir(folder), _MOST_NAMES))
    close = difflib.get_close_matches(path.name, names, n=1, cutoff=0.75)
    return f"did you mean {folder / close[0]}?" if close else "correct the path"


def inputs_beside_vcfs(
    config: Mapping[str, Any], cohorts: Mapping[str, Sequence[CohortFile]]
) -> list[str]:
    """Return the tracks and tables that steps after the scoring read, each once."""
    annotate = config["annotate"]
    # Labels of no table of their own are those of the regions too.
    tables = [label_tables(config["evaluate"], files) for files in (*cohorts.values(), ())]
    return list(
        dict.fromkeys(
            [
                *annotate["intervals"].values(),
                *annotate["bigwigs"].values(),
                *(file for _, file in _score_files(config)),
                *(path for of_cohort in tables for path in of_cohort.values()),
            ]
        )
    )


def read_late(config: Mapping[str, Any], cohorts: Mapping[str, Sequence[CohortFile]]) -> list[str]:
    """Return every input that steps after the scoring read, each once."""
    vcfs = (file.vcf for files in cohorts.values() for file in files)
    return list(dict.fromkeys([*vcfs, *inputs_beside_vcfs(config, cohorts)]))


def keys_of(
    config: Mapping[str, Any], cohorts: Mapping[str, Sequence[CohortFile]]
) -> dict[str, str]:
    """Return input → the key or the line of the sheet that names it first, for messages."""
    keys = dict(reversed([(place.value, place.key) for place in places(config, FILES)]))
    for key, score_file in _score_files(config):
        keys.setdefault(score_file, key)
    for file in (file for files in cohorts.values() for file in files):
        for path in (file.vcf, file.labels):
            if path is not None:
                keys.setdefault(path, f"{config['cohorts']}, line {file.line}")
    return keys
