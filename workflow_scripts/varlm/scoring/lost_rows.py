"""Rows of the store that a plan made sure of, and that are not there when they are read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from varlm.errors import UserError


@contextmanager
def lost_rows_told(where: object) -> Iterator[None]:
    """Raise the `LookupError` of a read from the store as a `UserError` that says what to do.

    Parameters
    ----------
    where : object
        The store, as the error names it.
    """
    try:
        yield
    except LookupError as error:
        raise UserError(
            f"{where}: {error}: rows were lost since the plan; run the workflow again with "
            "--forcerun plan"
        ) from error
