"""MultiQC's content: numbers, and names that no browser runs."""

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from varlm.report.multiqc import content, safe_name

COUNTS = {
    f"{kind}_{what}": i
    for i, (kind, what) in enumerate(
        (k, w) for k in ("sites", "alleles") for w in ("scored", "from_store")
    )
}


@given(st.text(), st.text())
def test_safe_names_are_safe_and_tell_names_apart(a, b):
    assert re.fullmatch(r"[A-Za-z0-9_.-]*", safe_name(a))
    if re.fullmatch(r"[A-Za-z0-9.-]*", a + b) and a != b:
        assert safe_name(a) != safe_name(b)


@given(st.text(min_size=1), st.text(min_size=1), st.text(min_size=1))
def test_nothing_of_a_name_can_be_markup(cohort, model, reason):
    accounting = {"alleles_in": 9, "accepted": 7, "rejected": 2, "by_reason": {reason: 2}}
    text = json.dumps(content(cohort, accounting, {model: COUNTS}, {model: -1.5}))
    assert not set(text) & set("<>&'")


def test_numbers_are_the_accountings():
    accounting = {"alleles_in": 9, "accepted": 7, "rejected": 2, "by_reason": {"symbolic": 2}}
    made = content("c1", accounting, {"m": COUNTS}, {"m": -1.5})
    row = made["data"]["c1"]
    assert (row["alleles_in"], row["accepted"], row["rejected"]) == (9, 7, 2)
    assert row["rejected_symbolic"] == 2
    assert row["m_median_llr"] == -1.5
    assert row["m_sites_from_store"] == COUNTS["sites_from_store"]
    assert set(row) == set(made["headers"])
    assert made["plot_type"] == "table"


def test_median_of_nothing_is_left_out():
    accounting = {"alleles_in": 0, "accepted": 0, "rejected": 0, "by_reason": {}}
    made = content("c1", accounting, {"m": COUNTS}, {"m": None})
    assert "m_median_llr" not in made["data"]["c1"]
