"""Records as htslib reads them against the alleles that they were made of."""

from __future__ import annotations

import polars as pl

from varlm.annotation.genes.gff import decoded

LOST = "\ufffd"  # in our tables, in the place of bytes that are no UTF-8
_CUT = 60  # letters of REF and ALT in the table of rejected alleles

_Comparison = tuple[pl.Series, pl.Series, pl.Series]  # whether equal, what was seen, expected


def first_difference(
    alleles: pl.DataFrame, seen: pl.DataFrame, tags: dict[str, str]
) -> tuple[dict[str, object], str, object, object] | None:
    """Return the first allele that htslib sees otherwise than the table has it.

    Parameters
    ----------
    alleles : polars.DataFrame
        As `Expected.alleles`.
    seen : polars.DataFrame
        `chrom`, `pos`, `ref`, `alt` and `info` of each record.
    tags : dict
        INFO tag → column of `alleles`.

    Returns
    -------
    tuple or None
        The allele's row, the field, what was seen, what was expected; None: no difference.
    """
    doubtful = alleles
    if seen.height == alleles["row"].n_unique():
        doubtful = alleles.filter(~_plainly_equal(alleles, seen, tags))
    if doubtful.is_empty():
        return None
    beyond = doubtful.filter(pl.col("row") >= seen.height)
    doubtful = doubtful.filter(pl.col("row") < seen.height)
    texts = seen[doubtful["row"]]
    fields = {**_fixed(doubtful, texts), **_info(doubtful, texts, tags)}
    differs = pl.DataFrame({name: ~same for name, (same, _, _) in fields.items()})
    wrong = differs.select(pl.any_horizontal(pl.all())).to_series()
    if (at := wrong.arg_max()) is not None and wrong[at]:
        name = next(name for name in fields if differs[name][at])
        _, saw, expected = fields[name]
        return doubtful.row(at, named=True), name, saw[at], expected[at]
    if beyond.is_empty():
        return None
    return beyond.row(0, named=True), "record", None, "a record"


def _plainly_equal(alleles: pl.DataFrame, seen: pl.DataFrame, tags: dict[str, str]) -> pl.Series:
    """Return which alleles are surely as they should be, by whole texts: cheap, and mostly enough.

    Those of records with one allele whose INFO ends with the values in the simplest spelling and
    has no tag of ours before that.
    """
    texts = seen if seen.height == alleles.height else seen[alleles["row"]]
    values = {
        tag: pl.col(column).round_sig_figs(6).cast(pl.String).str.strip_suffix(".0")
        if alleles[column].dtype.is_float()
        else pl.col(column).cast(pl.String)
        for tag, column in tags.items()
    }
    ending = pl.concat_str(
        (pl.lit(f";{tag}=") + value).fill_null("") for tag, value in values.items()
    )
    both = alleles.select("count", "chrom", "pos", "ref", "alt", ending=ending).with_columns(
        texts.rename(lambda name: f"seen_{name}")
    )
    info, end = pl.col("seen_info"), pl.col("ending")
    before = info.str.head(info.str.len_chars() - end.str.len_chars())
    return (
        both.select(
            (pl.col("count") == 1)
            & (pl.col("chrom") == pl.col("seen_chrom"))
            & (pl.col("pos") == pl.col("seen_pos"))
            & (pl.col("ref") == pl.col("seen_ref"))
            & (pl.col("alt") == pl.col("seen_alt"))
            & info.str.ends_with(end)
            & ~before.str.contains_any([f";{tag}" for tag in tags])
        )
        .to_series()
        .fill_null(False)
    )


def _fixed(alleles: pl.DataFrame, texts: pl.DataFrame) -> dict[str, _Comparison]:
    """Compare CHROM, POS, REF and this ALT allele."""
    saw_alt = texts["alt"].str.split(",")
    own = pl.DataFrame([saw_alt, alleles["place"]]).select(
        pl.col("alt").list.get(pl.col("place"), null_on_oob=True)
    )["alt"]
    number = (saw_alt.list.len() == alleles["count"]).fill_null(False)
    return {
        "CHROM": (_same(texts["chrom"], alleles["chrom"]), texts["chrom"], alleles["chrom"]),
        "POS": ((texts["pos"] == alleles["pos"]).fill_null(False), texts["pos"], alleles["pos"]),
        "REF": (_same(texts["ref"], alleles["ref"]), texts["ref"], alleles["ref"]),
        "ALT": (_same(own, alleles["alt"]) & number, texts["alt"], alleles["alt"]),
    }


def _same(saw: pl.Series, expected: pl.Series) -> pl.Series:
    """Return whether texts are equal, where the tables have them whole."""
    pair = pl.DataFrame({"saw": saw, "expected": expected})
    cut = pl.col("expected").str.len_chars() == _CUT
    return (
        pair.select(
            (pl.col("saw") == pl.col("expected"))
            | (cut & pl.col("saw").str.starts_with(pl.col("expected")))
            | pl.col("expected").str.contains(LOST, literal=True)
        )
        .to_series()
        .fill_null(False)
    )


def _info(
    alleles: pl.DataFrame, texts: pl.DataFrame, tags: dict[str, str]
) -> dict[str, _Comparison]:
    """Compare this allele's value of each INFO tag."""
    comparisons = {}
    for tag, column in tags.items():
        field = pl.col("info").str.splitn(f";{tag}=", 2).struct[1].str.splitn(";", 2).struct[0]
        pair = pl.DataFrame([texts["info"], *alleles.select("place", "count", "allele")]).select(
            "place", "count", field.alias("field").str.split(",")
        )
        value = pair.select(
            pl.col("field").list.get(pl.col("place"), null_on_oob=True).replace(["", "."], None)
        ).to_series()
        number = (pair["field"].list.len() == pair["count"]).fill_null(True)
        # A record without ALT has no allele to speak of.
        expected = alleles[column].zip_with(
            alleles["allele"] > 0, pl.Series([None], dtype=alleles[column].dtype)
        )
        if expected.dtype.is_float():
            equal = _as_written(value, expected)
        else:
            value = decoded(value)
            expected = expected.cast(pl.String).replace(["", "."], None)
            equal = value.eq_missing(expected)
        comparisons[f"INFO/{tag}"] = (equal & number, value, expected)
    return comparisons


def _as_written(value: pl.Series, expected: pl.Series) -> pl.Series:
    """Return whether texts are float32 numbers of six significant digits."""
    saw = value.cast(pl.Float64, strict=False)
    rounded = expected.round_sig_figs(6).cast(pl.Float64)
    # The last bit of a float32: the digits go through a decimal text twice.
    close = (saw - rounded).abs() <= rounded.abs() * 2e-7 + 1e-44
    return close.fill_null(False) | (value.is_null() & expected.is_null())
