"""Structured lines of a VCF header."""

from __future__ import annotations


def structured(text: str) -> dict[str, str]:
    """Return the key=value pairs of a structured header line after its '<', quoted or not."""
    fields: dict[str, str] = {}
    key, value, quoted, in_value = "", "", False, False
    for letter in text:
        if letter == '"':
            quoted = not quoted
        elif quoted:
            value += letter
        elif letter in ",>":
            if in_value:
                fields.setdefault(key.strip(), value)
            key, value, in_value = "", "", False
            if letter == ">":
                break
        elif letter == "=" and not in_value:
            in_value = True
        elif in_value:
            value += letter
        else:
            key += letter
    return fields
