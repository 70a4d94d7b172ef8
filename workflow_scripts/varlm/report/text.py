"""Values as a reader sees them: numbers, shares, durations, and text cut where it is long."""

from __future__ import annotations


def decimals(value: float | None, places: int = 2) -> str:
    """Return a number with so many decimals and a true minus sign; an en dash for None."""
    if value is None:
        return "–"
    rounded = f"{value:,.{places}f}"
    return rounded.replace("-", "−") if float(rounded.replace(",", "")) else f"{0:.{places}f}"


def count(value: int | None) -> str:
    """Return a number of things with commas between thousands; an en dash for None."""
    return "–" if value is None else f"{value:,}"


def share(part: int, total: int) -> str:
    """Return `part` of `total` in percent; what is neither none nor all is never rounded to it."""
    if not total:
        return "–"
    percent = 100 * part / total
    if 0 < percent < 0.01:
        return "< 0.01 %"
    if part < total and percent > 99.99:
        return "> 99.99 %"
    return f"{percent:.2f} %" if 0 < part < total else f"{percent:.0f} %"


def percent(fraction: float | None) -> str:
    """Return a fraction in percent, two decimals; an en dash for None."""
    return "–" if fraction is None else f"{100 * fraction:.2f} %"


def duration(seconds: float) -> str:
    """Return seconds as seconds, minutes or hours."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def shown(value: object, limit: int = 300) -> str:
    """Return a value of a config or a JSON file as text that is at most `limit` characters."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return cut(str(value), limit)


def cut(text: str, limit: int) -> str:
    """Return `text`, or its first `limit` − 1 characters and an ellipsis; no lone surrogate."""
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text if len(text) <= limit else text[: limit - 1] + "…"
