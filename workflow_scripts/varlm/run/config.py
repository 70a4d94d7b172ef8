"""The config and the cohort sheet: checked whole, all errors at once, defaults filled in.

The Snakefile imports this module on every start and in every cluster job, so nothing heavy is
imported here: jsonschema and yaml are loaded by Snakemake itself.
"""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from varlm.errors import UserError

SHEET_COLUMNS = {
    "cohort": "name of the cohort: its folder in the results",
    "vcf": "VCF, VCF.gz or BCF file, relative to the working directory, or an address (https, s3)",
    "records": "optional: how many records the file must have",
    "sha256": "optional: the SHA-256 that the file must have",
    "labels": "optional: TSV of what is known of the alleles (evaluate.labels with table: sheet)",
}
COHORT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")

# The columns that every annotated table has, and those of each model: `schemas.annotated`, which
# would import polars here (a test holds the two together).
TABLE_COLUMNS = (
    *("chrom", "pos", "id", "ref", "alt", "input_pos", "input_ref", "input_alt", "kind", "af"),
    *("consequence", "impact", "gene", "gene_id", "transcript", "biotype", "strand"),
    *("protein_change", "nearest_gene", "tss_distance", "consequences"),
    *("file", "record", "allele"),
)
MODEL_COLUMNS = ("llr", "llr_fwd", "llr_rev", "entropy", "p_ref", "p_alt", "percentile")

# The consequences that `evaluate.contrasts` may name: `consequences.terms.NAMES`, which would
# import numpy here (a test holds the two together), and all that is outside genes.
CONSEQUENCES = (
    *("splice_acceptor_variant", "splice_donor_variant", "stop_gained", "frameshift_variant"),
    *("stop_lost", "start_lost", "inframe_insertion", "inframe_deletion", "missense_variant"),
    *("protein_altering_variant", "splice_region_variant", "start_retained_variant"),
    *("stop_retained_variant", "synonymous_variant", "coding_sequence_variant"),
    *("5_prime_UTR_variant", "3_prime_UTR_variant", "non_coding_transcript_exon_variant"),
    *("intron_variant", "NMD_transcript_variant", "upstream_gene_variant"),
    *("downstream_gene_variant", "feature_elongation", "feature_truncation"),
    *("intergenic_variant", "intergenic"),
)

# What is read through a storage plugin of Snakemake, not from a disk: https://…, s3://….
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")

_MOST_VALUES = 100_000  # in a config; one key for each of many models and tracks is far fewer

# Keys of a training that the loop takes as they are: `varlm.training.settings.Settings`.
LOOP = (
    *("steps", "batch_size", "micro_batch", "learning_rate", "schedule", "warmup_steps"),
    *("decay_steps", "weight_decay", "beta1", "beta2", "clip", "seed", "precision"),
    *("evaluate_every", "validation_windows", "patience", "mask_share", "soft_masked_weight"),
)

# The table of a label that each cohort has for itself: the cohort sheet's column `labels`.
SHEET_LABELS = "sheet"

# What the results call the cohort that the config key `regions` makes.
REGIONS_COHORT = "regions"


@dataclass(frozen=True)
class CohortFile:
    """One row of the cohort sheet; `records` and `sha256` are None where not given."""

    cohort: str
    vcf: str
    records: int | None = None
    sha256: str | None = None
    labels: str | None = None


def load_config(given: Mapping[str, Any], schema_path: Path) -> dict[str, Any]:
    """Return the config with every default filled in.

    `regions` is None, or a mapping with `bed`, `contigs` (`all`, a list of names, or None),
    `sample` and `seed`, whichever form it was given in.

    Raises
    ------
    UserError
        One message with all errors, each with its key, the value found and a remedy.
    """
    _check_size(given)
    schema = yaml.safe_load(schema_path.read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    errors = [
        line
        for error in sorted(
            validator.iter_errors(dict(given)), key=lambda e: list(map(str, e.path))
        )
        for line in _explain(error)
    ]
    errors += _missing_inputs(given)
    if not errors:
        config: dict[str, Any] = _with_defaults(deepcopy(dict(given)), schema)
        config["regions"] = _regions(config["regions"])
        errors = list(_cross_checks(config))
    if errors:
        listed = "\n".join(f"  - {line}" for line in errors)
        count = f"{len(errors)} error{'s' if len(errors) > 1 else ''}"
        raise UserError(f"{count} in the config:\n{listed}")
    return config


def window_of(config: Mapping[str, Any], model: Mapping[str, Any]) -> int:
    """Return the window in bp that a model scores with: its own, that of its training, or all's."""
    training = config["train"].get(model["train"])
    trained_with = training["windows"]["length"] if training else None
    window: int = model["window"] or trained_with or config["scoring"]["window"]
    return window


def labels_of(files: Collection[CohortFile]) -> str | None:
    """Return the file of labels that the sheet names for a cohort, in any of its lines."""
    return next((file.labels for file in files if file.labels is not None), None)


def label_tables(
    evaluate: Mapping[str, Any] | None, files: Collection[CohortFile]
) -> dict[str, str]:
    """Return label → its TSV, of the labels that have one for a cohort with these files."""
    labels = evaluate["labels"] if evaluate else {}
    tables = {
        name: labels_of(files) if label["table"] == SHEET_LABELS else label["table"]
        for name, label in labels.items()
    }
    return {name: table for name, table in tables.items() if table is not None}


def is_address(value: str | None) -> bool:
    """Whether `value` is an address such as https://…, and not a path."""
    return value is not None and _ADDRESS.match(value) is not None


def addresses(
    config: Mapping[str, Any], cohorts: Mapping[str, list[CohortFile]]
) -> Iterator[tuple[str, str]]:
    """Yield each input that is an address, with the key that names it."""
    reference, normalise, annotate = (config[k] for k in ("reference", "normalise", "annotate"))
    inputs = [(f"reference.{key}", reference[key]) for key in ("fasta", "annotation", "aliases")]
    inputs.append(("normalise.regions", normalise["regions"]))
    inputs.append(("regions.bed", (config["regions"] or {}).get("bed")))
    for kind in ("intervals", "bigwigs"):
        inputs += [(f"annotate.{kind}.{name}", file) for name, file in annotate[kind].items()]
    labels = (config["evaluate"] or {"labels": {}})["labels"]
    inputs += [(f"evaluate.labels.{name}.table", label["table"]) for name, label in labels.items()]
    inputs += [
        (f"{config['cohorts']}, cohort {cohort}", labels_of(files))
        for cohort, files in cohorts.items()
    ]
    inputs += [
        (f"train.{name}.genomes.{genome}.{key}", file)
        for name, training in config["train"].items()
        for genome, files in training["genomes"].items()
        for key, file in files.items()
    ]
    inputs += [
        (f"{config['cohorts']}, cohort {cohort}", file.vcf)
        for cohort, files in cohorts.items()
        for file in files
    ]
    return ((key, value) for key, value in inputs if is_address(value))


def _check_size(given: Mapping[str, Any]) -> None:
    """Refuse a config that YAML aliases blow up (some lines can stand for 10⁹ values).

    Validation and messages walk every value, so it must come first; the walk itself ends at
    `_MOST_VALUES`.
    """
    left = _MOST_VALUES
    waiting: list[Any] = [given]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            waiting.extend(value.values())
        elif isinstance(value, list | tuple):
            waiting.extend(value)
        left -= 1
        if left < len(waiting):
            raise UserError(
                f"the config holds more than {_MOST_VALUES:,} values; do its YAML aliases (*name) "
                "multiply each other? Write the values out"
            )


def _with_defaults(value: Any, schema: Mapping[str, Any]) -> Any:
    if not isinstance(value, dict):
        return value
    for key, child in schema.get("properties", {}).items():
        if key not in value and "default" in child:
            value[key] = deepcopy(child["default"])
        if key in value:
            value[key] = _with_defaults(value[key], child)
    extra = schema.get("additionalProperties")
    if isinstance(extra, dict):
        for key in value:
            value[key] = _with_defaults(value[key], extra)
    return value


def _missing_inputs(given: Mapping[str, Any]) -> Iterator[str]:
    if given.get("cohorts") is None and given.get("regions") is None:
        yield (
            "cohorts: missing; set it. Only where regions says where to score every SNV can there "
            "be no cohort sheet"
        )


def _regions(given: str | Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return any form of the key `regions` as a whole mapping; None is none."""
    if given is None:
        return None
    given = {"bed": given} if isinstance(given, str) else given
    whole = {"bed": None, "contigs": None, "sample": None, "seed": 0, **given}
    if isinstance(whole["contigs"], list):
        whole["contigs"] = list(map(str, whole["contigs"]))  # YAML reads a contig 1 as a number
    return whole


def _cross_checks(config: Mapping[str, Any]) -> Iterator[str]:
    regions = config["regions"]
    if regions is not None and (regions["bed"] is None) == (regions["contigs"] is None):
        found = "neither" if regions["bed"] is None else "both"
        yield f"regions: found {found} of bed and contigs; give one of them"
    limits = config["normalise"]
    low, high = limits["min_af"], limits["max_af"]
    if low is not None and high is not None and low > high:
        yield f"normalise.min_af: {low} is above normalise.max_af ({high}); swap or widen them"
    for name in config["models"]:
        for prefix in ("FWD_", "REV_"):
            if (other := name.removeprefix(prefix)) != name and other in config["models"]:
                yield (f"models: {name} and {other} would both write INFO/LLR_{name}; rename one")
    for name, model in config["models"].items():
        window = window_of(config, model)
        longest = limits["max_allele_length"]
        if config["scoring"]["indels"] == "score" and longest > window // 4:
            yield (
                f"normalise.max_allele_length: {longest} is more than a quarter of the window of "
                f"model {name} ({window} bp), which leaves too little context; lower it to "
                f"{window // 4} or less, or set scoring.indels: skip"
            )
    yield from _column_clashes(config)
    yield from _training_checks(config)
    if config["evaluate"] is not None:
        yield from _evaluation_errors(config)
    for key in ("cohorts", "results", "store"):
        if is_address(config[key]):
            kind = "file" if key == "cohorts" else "folder"
            yield f"{key}: found {config[key]!r}; this must be a {kind} on a disk, not an address"
    results, store = Path(config["results"]).absolute(), Path(config["store"]).absolute()
    if results == store:
        yield f"store: {config['store']} is also the folder of the results; give it its own"


def _training_checks(config: Mapping[str, Any]) -> Iterator[str]:
    """Say which models to train cannot be, and which models name none."""
    trained = config["train"]
    known = ", ".join(trained) or "none"
    for name, model in config["models"].items():
        if (model["path"] is None) == (model["train"] is None):
            found = "neither" if model["path"] is None else "both"
            yield f"models.{name}: found {found} of path and train; give one of them"
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
        for other in training["compare"]:
            if other not in trained or other == name:
                yield (
                    f"train.{name}.compare: found {other!r}; name others of the key train, {known}"
                )
            elif any(
                trained[other][key] != training[key]
                for key in ("genomes", "held_out", "validation", "windows")
            ):
                yield (
                    f"train.{name}.compare: {other} is trained on other genomes, contigs or "
                    "windows; what one was trained on would test the other"
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


def _column_clashes(config: Mapping[str, Any]) -> Iterator[str]:
    """Say which names of tracks would make a column that is there already."""
    made = dict.fromkeys(TABLE_COLUMNS, "the annotated table itself")
    made |= {f"{m}_{c}": f"the model {m}" for m in config["models"] for c in MODEL_COLUMNS}
    made |= {f"info_{tag}": f"annotate.info ({tag})" for tag in config["annotate"]["info"]}
    for key, suffixes in (("intervals", ("_overlap", "_name", "_distance")), ("bigwigs", ("",))):
        for name in config["annotate"][key]:
            for column in (name + suffix for suffix in suffixes):
                if column in made:
                    yield (
                        f"annotate.{key}.{name}: makes the column {column}, which {made[column]} "
                        "makes too; give it another name"
                    )
                made.setdefault(column, f"annotate.{key}.{name}")


def _evaluation_errors(config: Mapping[str, Any]) -> Iterator[str]:
    """Say what is wrong in `evaluate` that its schema cannot tell."""
    evaluate, models = config["evaluate"], config["models"]
    columns = [*_columns(config)]
    for name, label in evaluate["labels"].items():
        key = f"evaluate.labels.{name}"
        yield from _label_errors(key, label, config["annotate"]["info"])
        if label["table"] is None and label["column"] is not None:
            yield from _unknown(f"{key}.column", "column", label["column"], columns)
    for name in evaluate["scores"]:
        yield from _unknown(f"evaluate.scores.{name}", "column", name, columns)
        if name in models:
            yield (
                f"evaluate.scores.{name}: is the name of a model too, whose score is compared "
                "anyway; give the column another name"
            )
    for pair in evaluate["contrasts"]:
        for term in pair:
            yield from _unknown("evaluate.contrasts", "consequence", term, CONSEQUENCES)
    own = {f"{model}_llr": model for model in models}
    for pair in evaluate["combine"]:
        for name in pair:
            known = [*models, *own, *evaluate["scores"]]
            yield from _unknown("evaluate.combine", "model or score", name, known)
        if len({own.get(name, name) for name in pair}) < len(pair):
            yield f"evaluate.combine: {pair[0]} and {pair[1]} are one score; combine two"


def _label_errors(key: str, label: Mapping[str, Any], carried: Collection[str]) -> Iterator[str]:
    if (label["column"] is None) == (label["info"] is None):
        found = "neither" if label["column"] is None else "both"
        yield f"{key}: found {found} of column and info; give one of them"
    elif label["info"] is not None and label["table"] is not None:
        yield f"{key}: found info and table; a table has a column: give column instead of info"
    elif label["info"] is not None and label["info"] not in carried:
        yield f"{key}.info: {label['info']} is not carried along; add it to annotate.info"
    if bool(label["positive"]) != bool(label["negative"]):
        given, other = ("positive", "negative") if label["positive"] else ("negative", "positive")
        yield (
            f"{key}: {given} is given without {other}; give the values of both classes, or "
            "neither where the label is a number"
        )
    if both := [value for value in label["positive"] if value in label["negative"]]:
        yield f"{key}: {both[0]!r} is both positive and negative; keep one"
    if label["absolute"] and label["positive"]:
        yield f"{key}.absolute: is for numbers, not for classes; remove it"


def _unknown(key: str, what: str, name: str, known: Sequence[str]) -> Iterator[str]:
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
        yield f"{key}: no {what} has the name {name}; {hint}"


def _columns(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield every column of the annotated table."""
    annotate = config["annotate"]
    yield from TABLE_COLUMNS
    yield from (f"{model}_{name}" for model in config["models"] for name in MODEL_COLUMNS)
    yield from (f"info_{tag}" for tag in annotate["info"])
    for name in annotate["intervals"]:
        yield from (f"{name}_overlap", f"{name}_name", f"{name}_distance")
    yield from annotate["bigwigs"]


def _explain(error: Any) -> Iterator[str]:
    key = ".".join(map(str, error.absolute_path))
    found = _shown(error.instance)
    description = error.schema.get("description", "")
    if error.validator == "additionalProperties":
        known = list(error.schema["properties"])
        for name in error.instance:
            if name not in known:
                path = f"{key}.{name}" if key else str(name)
                close = difflib.get_close_matches(str(name), known, n=1)
                hint = f"did you mean {close[0]}?" if close else f"known keys: {', '.join(known)}"
                yield f"{path}: unknown key (value {_shown(error.instance[name])}); {hint}"
    elif error.validator == "required":
        for name in error.validator_value:
            if name not in error.instance:
                meaning = error.schema["properties"][name].get("description", "")
                path = f"{key}.{name}" if key else name
                yield f"{path}: missing; set it. {meaning}".strip()
    elif error.validator == "anyOf" and all("required" in each for each in error.validator_value):
        names = " and ".join(each["required"][0] for each in error.validator_value)
        yield f"{key}: found neither of {names}; give one of them"
    elif error.validator == "enum":
        allowed = ", ".join(map(str, error.validator_value))
        yield f"{key}: found {found}; use one of {allowed}"
    elif error.validator == "type":
        wanted = error.validator_value
        wanted = " or ".join(wanted) if isinstance(wanted, list) else wanted
        yield f"{key or 'config'}: found {found}; expected {wanted}. {description}".strip()
    elif error.validator in ("minimum", "maximum"):
        side = "at least" if error.validator == "minimum" else "at most"
        yield f"{key}: found {found}; expected {side} {error.validator_value}"
    elif error.validator == "minProperties":
        yield f"{key}: found {found}; name at least one. {description}"
    elif "propertyNames" in error.absolute_schema_path:
        yield (
            f"{key}: the name {found} cannot be used in column and INFO names; "
            "use up to 40 letters, digits and _, starting with a letter"
        )
    elif error.validator == "pattern" and key.endswith("revision"):
        yield f"{key}: found {found}; expected a full commit hash of 40 hexadecimal digits"
    else:
        yield f"{key}: found {found}; {description or error.message}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"


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
