"""The rules of the workflow, as text."""

from __future__ import annotations

import re


def rules(root):
    text = "".join(path.read_text() for path in sorted((root / "rules").glob("*.smk")))
    return dict(re.findall(r"^(?:rule|checkpoint) (\w+):\n(.*?)(?=^\S|\Z)", text, re.M | re.S))
