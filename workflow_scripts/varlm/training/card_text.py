"""Tables and intervals in a model card's Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def interval(row: Mapping[str, float], name: str) -> str:
    """Return a value with its interval: of a row with the columns name, name_low, name_high."""
    return f"{row[name]:.3f} ({row[f'{name}_low']:.3f}–{row[f'{name}_high']:.3f})"


def markdown_table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table, with a line break after it."""
    head = list(head)
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines) + "\n"
