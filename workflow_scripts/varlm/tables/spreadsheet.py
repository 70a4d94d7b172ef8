"""Text that a spreadsheet does not take for a formula."""

from __future__ import annotations

import re

import polars as pl


def spreadsheet_safe(text: pl.Expr) -> pl.Expr:
    """Escape a text column; an ordinary row passes two tests and is not copied."""
    special = r"[\x00-\x1f\x7f\\]|^[=+\-@]"
    return (
        pl.when(text.str.contains(special))
        .then(text.map_elements(_escaped, return_dtype=pl.String))
        .otherwise(text)
        .name.keep()
    )


def _escaped(text: str) -> str:
    text = "".join(f"\\x{ord(c):02x}" if c < " " or c in "\x7f\\" else c for c in text)
    return "'" + text if text[:1] in ("=", "+", "-", "@") else text


def unescaped(text: str) -> str:
    """Return the text that `spreadsheet_safe` was given."""
    if text[:1] == "'" and text[1:2] in ("=", "+", "-", "@"):
        text = text[1:]
    return re.sub(r"\\x([0-9a-f]{2})", lambda match: chr(int(match[1], 16)), text)
