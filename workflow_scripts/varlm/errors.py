"""The one exception that a user may see, and lists of names in its messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class UserError(Exception):
    """Bad input, bad config or a lost environment: something that the user can mend.

    The message names the file or record, what was found, what was expected and what to do.
    `varlm.cli` prints it as one line, `error: …`, and exits with status 2; every other
    exception is a defect of varlm and keeps its traceback.
    """


def first_few(names: Iterable[object], count: int = 5) -> str:
    """Return the first `count` names, commas between them; of more, how many there are in all.

    Of a long name, 60 letters.

    >>> first_few(range(9), 3)
    '0, 1, 2, … (9 in all)'
    """
    listed = [str(name)[:60] for name in names]
    more = f", … ({len(listed)} in all)" if len(listed) > count else ""
    return ", ".join(listed[:count]) + more


def listed_errors(errors: Sequence[str], where: str) -> str:
    """Return errors as one message, a line each."""
    lines = "\n".join(f"  - {error}" for error in errors)
    return f"{len(errors)} error{'s' if len(errors) > 1 else ''} {where}:\n{lines}"
