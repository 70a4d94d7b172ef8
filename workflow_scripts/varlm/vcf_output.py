"""The cohort's own records with scores in INFO: bytes passed through, one column extended.

Nothing else of a record is parsed or formatted again, so genotypes, odd INFO fields and the order
of everything stay as they were; only carriage returns at line ends are dropped. (htslib's writers
would rewrite floats and refuse undeclared fields.)
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import polars as pl

from varlm.errors import UserError
from varlm.vcf_input import VcfSource

log = logging.getLogger(__name__)

# INFO tag → column of the annotated table, less the model's name; and the header's description.
TAGS = {
    "LLR": ("llr", "log-likelihood ratio ALT - REF, nats, strand mean; negative: ALT less likely"),
    "LLR_FWD": ("llr_fwd", "log-likelihood ratio on the forward strand, nats"),
    "LLR_REV": ("llr_rev", "log-likelihood ratio on the reverse strand, nats"),
    "ENTROPY": ("entropy", "entropy of A, C, G, T at the site, nats; missing for indels and MNVs"),
    "P_REF": ("p_ref", "probability of REF at the site; missing for indels and MNVs"),
    "P_ALT": ("p_alt", "probability of ALT at the site; missing for indels and MNVs"),
}
REJECTED_TAG = "VARLM_REJECTED"
SOURCE = 'Source="varlm"'  # marks our own header lines, whose fields may be replaced
_STRUCTURED = re.compile(rb"##(\w+)=<ID=([^,>]+)")


def tag_names(models: Sequence[str]) -> list[str]:
    """Return every INFO tag that is written for these models."""
    return [f"{tag}_{model}" for model in models for tag in TAGS] + [REJECTED_TAG]


def header(
    sources: Sequence[VcfSource], models: Sequence[str], contigs: Mapping[str, int]
) -> bytes:
    """Return the output's header: the first file's, what other files add, and our own lines.

    Parameters
    ----------
    sources : sequence of VcfSource
        The cohort's files, in order.
    contigs : mapping
        CHROM of records that the reference knows → its length in bp; added if not declared.

    Raises
    ------
    UserError
        If the files' sample columns differ, or an INFO tag of ours is already another tool's.
    """
    first = sources[0].header_lines
    lines, known = [], set()
    for source in sources:
        if source.header_lines[-1] != first[-1]:
            raise UserError(
                f"{source.path}: its samples are not those of {sources[0].path}: "
                f"{_difference(source.header_lines[-1], first[-1])}; the files of one cohort must "
                "have the same samples in the same order: make them cohorts of their own, or "
                "reorder them with 'bcftools view -s'"
            )
        _check_tags(source, models)
        for line in source.header_lines[:-1]:
            identity = _STRUCTURED.match(line)
            mark = identity.groups() if identity else line
            ours = SOURCE.encode() in line and _is_ours(line, models)
            if not ours and (source is sources[0] or mark not in known):
                lines.append(line)
            known.add(mark)
    for name, length in contigs.items():
        if (b"contig", name.encode()) not in known:
            lines.append(f"##contig=<ID={name},length={length}>".encode())
    for model in models:
        for tag, (_, text) in TAGS.items():
            lines.append(
                f"##INFO=<ID={tag}_{model},Number=A,Type=Float,"
                f'Description="{model}: {text}",{SOURCE}>'.encode()
            )
    lines.append(
        f"##INFO=<ID={REJECTED_TAG},Number=A,Type=String,"
        f'Description="why varlm did not score the allele",{SOURCE}>'.encode()
    )
    return b"\n".join([*lines, first[-1]]) + b"\n"


def _is_ours(line: bytes, models: Sequence[str]) -> bool:
    identity = _STRUCTURED.match(line)
    return identity is not None and identity[2].decode("utf-8", "replace") in tag_names(models)


def _check_tags(source: VcfSource, models: Sequence[str]) -> None:
    for number, line in enumerate(source.header_lines, 1):
        if line.startswith(b"##INFO=") and _is_ours(line, models) and SOURCE.encode() not in line:
            identity = _STRUCTURED.match(line)
            assert identity is not None
            raise UserError(
                f"{source.path}, line {number}: INFO/{identity[2].decode()} is already a field of "
                "this file, made by another tool; varlm would write the same name: give the model "
                "another name in the config"
            )


def _difference(one: bytes, other: bytes) -> str:
    mine, theirs = (line.decode("utf-8", "replace").split("\t")[9:] for line in (one, other))
    extra = [name for name in mine if name not in theirs][:3]
    missing = [name for name in theirs if name not in mine][:3]
    if extra or missing:
        return f"only here {', '.join(extra) or 'none'}; only there {', '.join(missing) or 'none'}"
    return "the same names in another order"


def info_suffixes(alleles: pl.DataFrame, models: Sequence[str]) -> pl.DataFrame:
    """Return what is added to each record's INFO.

    Parameters
    ----------
    alleles : polars.DataFrame
        One row an allele, sorted by record and allele: `record`, `allele`, the models' score
        columns (null for rejected alleles) and `reason` (null for accepted ones).

    Returns
    -------
    polars.DataFrame
        `record` and `suffix`, sorted by record: ';TAG=value,value…' for each tag of which an
        allele has a value, or an empty text.
    """
    fields = {
        f"{tag}_{model}": pl.col(f"{model}_{column}").round_sig_figs(6).cast(pl.String)
        for model in models
        for tag, (column, _) in TAGS.items()
    }
    # A record without ALT has no allele that a Number=A field could speak of.
    fields[REJECTED_TAG] = pl.when(pl.col("allele") > 0).then("reason")
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


def annotated_lines(
    source: VcfSource, alleles: pl.DataFrame, models: Sequence[str]
) -> Iterator[list[bytes]]:
    """Yield the file's records, in their order, chunk by chunk, with the scores in INFO.

    Parameters
    ----------
    source : VcfSource
        Opened, nothing read.
    alleles : polars.DataFrame
        Every allele of the file, as for `info_suffixes`.

    Raises
    ------
    UserError
        If the file holds other records than `alleles` speaks of, or a field of ours undeclared.
    """
    prefixes = tuple(f"{name}=".encode() for name in tag_names(models))
    header_text = b"\n".join(source.header_lines)
    replace = any(b"ID=" + prefix[:-1] + b"," in header_text for prefix in prefixes)
    record_of = alleles["record"]
    for chunk in source.chunks():
        low = int(record_of.search_sorted(chunk.first_record, side="left"))
        high = int(record_of.search_sorted(chunk.first_record + chunk.records, side="left"))
        suffixes = info_suffixes(alleles[low:high], models)["suffix"].to_list()
        if len(suffixes) != chunk.records:
            raise UserError(
                f"{source.path}: {chunk.records} records after {source.where(chunk.first_record)}, "
                f"but {len(suffixes)} were normalised; the file changed during the run: run again"
            )
        strip = any(prefix in chunk.data for prefix in prefixes)
        data, out = chunk.data, []
        bounds = zip(chunk.starts.tolist(), chunk.ends.tolist(), suffixes, strict=True)
        for index, (start, end, suffix) in enumerate(bounds):
            fields = data[start:end].split(b"\t", 8)
            info = fields[7]
            if data[end - 1] == 13:
                fields[-1] = fields[-1][:-1]
                info = fields[7]
            if strip:
                kept = [field for field in info.split(b";") if not field.startswith(prefixes)]
                if len(kept) != info.count(b";") + 1:
                    if not replace:
                        raise UserError(
                            f"{source.where(chunk.first_record + index)}: INFO has a field of the "
                            "name that varlm writes, which the header does not declare; give the "
                            "model another name in the config"
                        )
                    info = b";".join(kept) or b"."
                    fields[7] = info
            if suffix:
                text = suffix.encode()
                fields[7] = text[1:] if info in (b".", b"") else info + text
            out.append(b"\t".join(fields))
        yield out
    if source.records is not None and alleles.height and source.records <= record_of[-1]:
        raise UserError(
            f"{source.path}: {source.records} records, but {int(record_of[-1]) + 1} were "
            "normalised; the file changed during the run: run again"
        )


def record_positions(alleles: pl.DataFrame) -> pl.DataFrame:
    """Return CHROM and POS of every record, from its first allele: `record`, `chrom`, `pos`."""
    return alleles.unique("record", keep="first", maintain_order=True).select(
        "record", "chrom", "pos"
    )


def sorted_order(records: pl.DataFrame) -> pl.Series | None:
    """Return the stable order by contig (first seen first) and position; None if it is so already.

    Parameters
    ----------
    records : polars.DataFrame
        `chrom` and `pos` of all records of the cohort, in their order.
    """
    rank = records["chrom"].rank("dense") if records.is_empty() else _first_seen(records["chrom"])
    keys = pl.DataFrame({"rank": rank, "pos": records["pos"]})
    steps = keys.with_columns(pl.all().diff())
    backwards = (steps["rank"] < 0) | ((steps["rank"] == 0) & (steps["pos"] < 0))
    if not backwards.any():
        return None
    return keys.with_row_index("row").sort("rank", "pos", "row")["row"]


def _first_seen(names: pl.Series) -> pl.Series:
    order = names.unique(maintain_order=True).to_list()
    ranks = {name: rank for rank, name in enumerate(order)}
    return names.replace_strict(ranks, return_dtype=pl.Int64)


def write_sorted(lines: Iterator[list[bytes]], order: pl.Series, scratch: Path) -> Iterator[bytes]:
    """Yield the lines in `order`, through a scratch file, so that memory holds offsets only."""
    import numpy as np

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
