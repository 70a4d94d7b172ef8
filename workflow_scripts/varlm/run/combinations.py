"""What a JSON schema cannot say of scores that are combined: names of nothing, and one twice."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def combination_errors(
    evaluate: Mapping[str, Any], own: Mapping[str, str], known: Sequence[str]
) -> Iterator[str]:
    """Say which scores cannot be combined, by `evaluate.combine` or `evaluate.fit`.

    Parameters
    ----------
    evaluate : mapping
    own : mapping
        A score's column → its model: both name one score.
    known : sequence of str
        Every name that a score may have.
    """
    for pair in evaluate["combine"]:
        for name in pair:
            yield from unknown("evaluate.combine", "model or score", name, known)
        if len({own.get(name, name) for name in pair}) < len(pair):
            yield f"evaluate.combine: {pair[0]} and {pair[1]} are one score; combine two"
    seen: set[frozenset[str]] = set()
    for names in evaluate.get("fit", ()):
        for name in names:
            yield from unknown("evaluate.fit", "model or score", name, known)
        parts = frozenset(own.get(name, name) for name in names)
        listed = f"[{', '.join(names)}]"
        if len(parts) < len(names):
            yield f"evaluate.fit: {listed} has a score twice; name different scores"
        elif parts in seen:
            yield f"evaluate.fit: {listed} has the scores of another entry; remove one"
        seen.add(parts)


def unknown(key: str, what: str, name: str, known: Sequence[str]) -> Iterator[str]:
    """Say that a name is none of those known, and which may be meant."""
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
        yield f"{key}: no {what} has the name {name}; {hint}"
