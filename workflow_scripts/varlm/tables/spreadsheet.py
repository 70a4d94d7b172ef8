"""Text that a spreadsheet does not take for a formula."""

from __future__ import annotations

import re

import polars as pl

_FORMULA = ("=", "+", "-", "@")  # what a spreadsheet runs begins so


def spreadsheet_safe(text: pl.Expr) -> pl.Expr:
    r"""Escape a text column; an ordinary row passes two tests and is not copied.

    What begins like a formula gets an apostrophe in front. Control characters, backslashes and an
    apostrophe that would be taken for that one become `\xHH`, so that no two texts become one.
    """
    special = r"[\x00-\x1f\x7f\\]|^'?[=+\-@]"
    return (
        pl.when(text.str.contains(special))
        .then(text.map_elements(escaped, return_dtype=pl.String))
        .otherwise(text)
        .name.keep()
    )


def escaped(text: str) -> str:
    """Return one text as `spreadsheet_safe` writes it; `spreadsheetSafe` of page.js is the same."""
    text = "".join(f"\\x{ord(c):02x}" if c < " " or c in "\x7f\\" else c for c in text)
    if text.startswith(_FORMULA):
        return "'" + text
    if text[:1] == "'" and text.startswith(_FORMULA, 1):
        return "\\x27" + text[1:]
    return text


def unescaped(text: str) -> str:
    """Return the text that `spreadsheet_safe` was given."""
    if text[:1] == "'" and text.startswith(_FORMULA, 1):
        text = text[1:]
    return re.sub(r"\\x([0-9a-f]{2})", lambda match: chr(int(match[1], 16)), text)
