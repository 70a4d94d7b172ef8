"""The cohort's own records with scores in INFO: bytes passed through, one column extended.

Nothing else of a record is parsed or formatted again, so genotypes, odd INFO fields and the order
of everything stay as they were; only carriage returns at line ends are dropped. (htslib's writers
would rewrite floats and refuse undeclared fields.)
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from varlm.errors import UserError
from varlm.results.table_tags import TableTag
from varlm.results.tags import (
    ANNOTATION_TAGS,
    REJECTED_TAG,
    STRAND_TAG,
    Models,
    score_columns_of,
    score_tags,
    tag_names,
    value_type,
)
from varlm.tables.columns import kinds_of
from varlm.vcf.heading import Heading, WithHeader, check_samples
from varlm.vcf.lines import VcfSource

log = logging.getLogger(__name__)

SOURCE = 'Source="varlm"'  # marks our own header lines, whose fields may be replaced
_STRUCTURED = re.compile(rb'##(\w+)=<(?:[^"]*?,)?ID=([^,>]+)')
_UNDECLARABLE = re.compile(r"[\s,<>\"=]")  # in a contig's name: would end or extend its header line
_DEFINING = (b"INFO", b"FORMAT", b"contig")  # header lines that say how to read a record
_SPELLED = {letter: f"%{ord(letter):02X}" for letter in "%:;=, \t\r\n"}
_WIDE = 200  # columns: from here, INFO is so small a part of a line that it is looked at alone


def header(
    sources: Sequence[VcfSource],
    models: Models,
    contigs: Mapping[str, int],
    consequences: bool = False,
    tables: Mapping[str, TableTag] | None = None,
) -> bytes:
    """Return the output's header: the first file's, what other files add, and our own lines.

    Parameters
    ----------
    sources : sequence of VcfSource
        The cohort's files, in order.
    contigs : mapping
        CHROM of records that the reference knows → its length in bp; added if not declared.
    consequences : bool
        Whether the alleles have `ANNOTATION_TAGS`.
    tables : mapping, optional
        Tag of a table of published scores → what it is.

    Raises
    ------
    UserError
        If the files' sample columns differ, or an INFO tag of ours is already another tool's.
    """
    tables = tables or {}
    first = sources[0].header_lines
    lines: list[bytes] = []
    if not first[0].startswith(b"##fileformat="):  # htslib takes no file without it for a VCF
        lines.append(b"##fileformat=VCFv4.2")
    check_samples(sources)
    known: dict[tuple[bytes, ...], bytes] = {}
    for source in sources:
        ours = _own_tags(source, models, tables)
        for line in source.header_lines[:-1]:
            kind, name = _identity(line)
            if kind == b"INFO" and name in ours:
                continue
            # Of further files, only what their records need: the rest tells of the file itself.
            if source is sources[0] or (name and (kind, name) not in known):
                lines.append(line)
            elif kind in _DEFINING and known.get((kind, name), line) != line:
                log.warning(
                    "%s: its header line %s is not that of %s, which is kept",
                    source.path,
                    line.decode("utf-8", "replace"),
                    sources[0].path,
                )
            known.setdefault((kind, name), line)
    declared = {name for source in sources for name in source.contig_lengths}
    for contig, length in contigs.items():
        if contig not in declared and not _UNDECLARABLE.search(contig):
            lines.append(f"##contig=<ID={contig},length={length}>".encode())
    for model, score in kinds_of(models).items():
        for tag, (_, text) in score_tags(score).items():
            lines.append(
                f"##INFO=<ID={tag}_{model},Number=A,Type={value_type(tag)},"
                f'Description="{model}: {text}",{SOURCE}>'.encode()
            )
    for tag, field in tables.items():
        lines.append(
            f"##INFO=<ID={tag},Number=A,Type={field.type},"
            f'Description="{field.text}",{SOURCE}>'.encode()
        )
    for tag, (_, text) in ANNOTATION_TAGS.items() if consequences else ():
        lines.append(
            f'##INFO=<ID={tag},Number=A,Type=String,Description="{text}",{SOURCE}>'.encode()
        )
    lines.append(
        f"##INFO=<ID={REJECTED_TAG},Number=A,Type=String,"
        f'Description="why varlm did not score the allele",{SOURCE}>'.encode()
    )
    return b"\n".join([*lines, first[-1]]) + b"\n"


def _identity(line: bytes) -> tuple[bytes, bytes]:
    """Return the kind and the ID of a structured header line; both empty for any other."""
    match = _STRUCTURED.match(line)
    return (match[1], match[2]) if match else (b"", b"")


def _own_tags(source: WithHeader, models: Models, tables: Iterable[str]) -> set[bytes]:
    """Return the INFO tags, of those we write, that an earlier varlm declared in this file."""
    names = {name.encode() for name in tag_names(models, tables)}
    ours = set()
    for number, line in enumerate(source.header_lines, 1):
        kind, name = _identity(line)
        if kind != b"INFO" or name not in names:
            continue
        if SOURCE.encode() not in line:
            raise UserError(
                f"{source.path}, line {number}: INFO/{name.decode()} is already a field of "
                "this file, made by another tool; varlm would write the same name: give the model "
                "or the table of scores another name in the config"
            )
        ours.add(name)
    return ours


def check_tags(heading: Heading, models: Models, tables: Sequence[str] = ()) -> None:
    """Look for fields of other tools with names of ours in a header and the records behind it.

    Raises
    ------
    UserError
        As `header` and `annotated_lines` do.
    """
    names = [name.encode() for name in tag_names(models, tables)]
    replaceable = _own_tags(heading, models, tables)
    for number, line in enumerate(heading.first_records, heading.first_line):
        info = line.split(b"\t", 8)[7]
        _without(info, names, replaceable, f"{heading.path}, line {number}")


def info_suffixes(
    alleles: pl.DataFrame, models: Models, tables: Iterable[str] = ()
) -> pl.DataFrame:
    """Return what is added to each record's INFO.

    Parameters
    ----------
    alleles : polars.DataFrame
        One row an allele, sorted by record and allele: `record`, `allele`, the models' score
        columns (null for rejected alleles), `reason` (null for accepted ones) and, where there is
        an annotation, the columns of `ANNOTATION_TAGS`.
    tables : iterable of str
        Columns of tables of published scores, which are tags too.

    Returns
    -------
    polars.DataFrame
        `record` and `suffix`, sorted by record: ';TAG=value,value…' for each tag of which an
        allele has a value, or an empty text.
    """
    fields = {
        tag: _encoded(pl.col(column).cast(pl.String))
        if tag.startswith(f"{STRAND_TAG}_")
        else pl.col(column).round_sig_figs(6).cast(pl.String)
        for tag, column in score_columns_of(models).items()
    }
    for name in tables:
        fields[name] = (
            pl.col(name).round_sig_figs(6).cast(pl.String)
            if alleles.schema[name].is_float()
            else _encoded(pl.col(name).cast(pl.String))
        )
    for tag, (column, _) in ANNOTATION_TAGS.items():
        if column in alleles.columns:
            fields[tag] = _encoded(pl.col(column).cast(pl.String))
    # A record without ALT has no allele that a Number=A field could speak of.
    fields[REJECTED_TAG] = pl.when(pl.col("allele") > 0).then(pl.col("reason").cast(pl.String))
    texts = alleles.select("record", *(value.alias(tag) for tag, value in fields.items()))
    if texts["record"].is_unique().all():
        joined = texts
    else:
        joined = texts.group_by("record", maintain_order=True).agg(
            pl.when(pl.col(tag).is_not_null().any()).then(pl.col(tag).fill_null(".").str.join(","))
            for tag in fields
        )
    suffix = pl.concat_str((pl.lit(f";{tag}=") + pl.col(tag)).fill_null("") for tag in fields)
    return joined.select("record", suffix=suffix)


def _encoded(text: pl.Expr) -> pl.Expr:
    """Percent-encode what an INFO value cannot hold (VCF 4.3, section 1.2), and blanks."""
    special = text.str.contains(r"[%:;=,\s]")
    return pl.when(special).then(text.str.replace_many(_SPELLED)).otherwise(text)


def annotated_lines(
    source: VcfSource, alleles: pl.DataFrame, models: Models, tables: Collection[str] = ()
) -> Iterator[list[bytes]]:
    """Yield the file's records, in their order, chunk by chunk, with the scores in INFO.

    Parameters
    ----------
    source : VcfSource
        Opened, nothing read.
    alleles : polars.DataFrame
        Every allele of the file, as for `info_suffixes`; so are `tables`.

    Raises
    ------
    UserError
        If the file holds other records than `alleles` speaks of, or a field of ours undeclared.
    """
    names = [name.encode() for name in tag_names(models, tables)]
    replaceable = _own_tags(source, models, tables)
    record_of = alleles["record"]
    for chunk in source.chunks():
        low = int(record_of.search_sorted(chunk.first_record, side="left"))
        high = int(record_of.search_sorted(chunk.first_record + chunk.records, side="left"))
        suffixes = info_suffixes(alleles[low:high], models, tables)["suffix"].to_list()
        if len(suffixes) != chunk.records:
            raise UserError(
                f"{source.path}: {chunk.records} records after {source.where(chunk.first_record)}, "
                f"but {len(suffixes)} were normalised; the file changed during the run: run again"
            )
        data, out = chunk.data, []
        suspect = source.columns >= _WIDE or any(name in data for name in names)
        bounds = zip(chunk.starts.tolist(), chunk.ends.tolist(), suffixes, strict=True)
        for index, (start, end, suffix) in enumerate(bounds):
            if data[end - 1] == 13:
                end -= 1
            fields = data[start:end].split(b"\t", 8)
            if suspect and any(name in fields[7] for name in names):
                where = source.where(chunk.first_record + index)
                fields[7] = _without(fields[7], names, replaceable, where)
            if suffix:
                fields[7] = _extended(fields[7], suffix.encode())
            out.append(b"\t".join(fields))
        yield out
    if source.records is not None and alleles.height and source.records <= record_of[-1]:
        raise UserError(
            f"{source.path}: {source.records} records, but {int(record_of[-1]) + 1} were "
            "normalised; the file changed during the run: run again"
        )


def _without(info: bytes, names: Sequence[bytes], replaceable: set[bytes], where: str) -> bytes:
    """Return INFO less the fields that an earlier varlm wrote.

    Raises
    ------
    UserError
        If a field has the name of one of ours and no header line of ours declares it.
    """
    kept = []
    for field in info.split(b";"):
        name = field.split(b"=", 1)[0]
        if name not in names:
            kept.append(field)
        elif name not in replaceable:
            raise UserError(
                f"{where}: INFO has a field {name.decode()}, a name that varlm writes, which the "
                "header does not declare as varlm's; give the model or the table of scores another "
                "name in the config"
            )
    return b";".join(kept) or b"."


def _extended(info: bytes, suffix: bytes) -> bytes:
    """Return INFO with ';TAG=…' behind it."""
    if info in (b".", b""):
        return suffix[1:]
    return info + (suffix[1:] if info.endswith(b";") else suffix)


def record_positions(alleles: pl.DataFrame) -> pl.DataFrame:
    """Return CHROM and POS of every record, from its first allele: `record`, `chrom`, `pos`.

    Parameters
    ----------
    alleles : polars.DataFrame
        Sorted by `record`.
    """
    first = alleles["record"] != alleles["record"].shift(1)
    return alleles.select("record", "chrom", "pos").filter(first.fill_null(True))


def sorted_order(records: pl.DataFrame) -> pl.Series | None:
    """Return the stable order by contig (first seen first) and position; None if it is so already.

    Parameters
    ----------
    records : polars.DataFrame
        `chrom` and `pos` of all records of the cohort, in their order.
    """
    keys = pl.DataFrame({"rank": _first_seen(records["chrom"]), "pos": records["pos"]})
    steps = keys.with_columns(pl.all().diff())
    backwards = (steps["rank"] < 0) | ((steps["rank"] == 0) & (steps["pos"] < 0))
    if not backwards.any():
        return None
    return keys.with_row_index("row").sort("rank", "pos", "row")["row"]


def _first_seen(names: pl.Series) -> pl.Series:
    codes = names.cast(pl.Categorical()).to_physical()
    order = codes.unique(maintain_order=True)
    return codes.replace_strict(order, range(len(order)), return_dtype=pl.Int64)


def write_sorted(lines: Iterator[list[bytes]], order: pl.Series, scratch: Path) -> Iterator[bytes]:
    """Yield the lines in `order`, through a scratch file, so that memory holds offsets only."""
    lengths: list[np.ndarray] = []
    try:
        with scratch.open("wb") as out:
            for block in lines:
                out.write(b"".join(line + b"\n" for line in block))
                lengths.append(np.array([len(line) + 1 for line in block], dtype=np.int64))
        ends = np.concatenate([np.zeros(1, np.int64), *lengths]).cumsum()
        with scratch.open("rb") as file:
            for row in order.to_list():
                file.seek(int(ends[row]))
                yield file.read(int(ends[row + 1] - ends[row]))
    finally:
        scratch.unlink(missing_ok=True)
