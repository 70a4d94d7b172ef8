"""Whose dialect of GFF3 or GTF a file is, for people; nothing depends on it."""

from __future__ import annotations

import polars as pl


def dialect_of(features: pl.DataFrame, gtf: bool) -> str:
    """Name the dialect of an annotation's features (`gff.FEATURES`), for example 'SGD GFF3'."""
    head = features.head(10_000)
    sources = {str(source).casefold() for source in head["source"].unique()}
    ids = head["id"].drop_nulls()
    form = "GTF" if gtf else "GFF3"
    if "sgd" in sources and not gtf and not ids.str.starts_with("gene:").any():
        return f"SGD {form}"
    if {"HAVANA", "ENSEMBL"} & set(map(str, head["source"].unique())):
        return f"GENCODE {form}"
    if ids.str.starts_with("gene:").any() or {"ensembl", "ensembl_havana"} & sources:
        return f"Ensembl {form}"
    if {"refseq", "bestrefseq", "gnomon", "genbank"} & sources:
        return f"RefSeq {form}"
    if {"maker", "augustus", "prokka", "simulated"} & sources:
        return (
            f"{next(iter(sorted({'maker', 'augustus', 'prokka', 'simulated'} & sources)))} {form}"
        )
    return form
