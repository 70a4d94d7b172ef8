"""MultiQC's content: numbers, and names that no browser runs."""

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from making.records import accounting
from varlm.report.multiqc import content, safe_name
from varlm.scoring.plan_record import Counts

PLANNED = Counts(sites_scored=11, sites_from_store=12, alleles_scored=13, alleles_from_store=14)


@given(st.text(), st.text())
def test_safe_names_are_safe_and_tell_names_apart(a, b):
    assert re.fullmatch(r"[A-Za-z0-9_.-]*", safe_name(a))
    if re.fullmatch(r"[A-Za-z0-9.-]*", a + b) and a != b:
        assert safe_name(a) != safe_name(b)


@given(st.text(min_size=1), st.text(min_size=1), st.text(min_size=1))
def test_nothing_of_a_name_can_be_markup(cohort, model, reason):
    entry = accounting(by_reason={reason: 3})
    text = json.dumps(content(cohort, entry, {model: PLANNED}, {model: -1.5}))
    assert not set(text) & set("<>&'")


def test_numbers_are_the_accountings():
    document = content("c1", accounting(), {"m": PLANNED}, {"m": -1.5})
    assert document["data"]["c1"] == {
        "alleles_in": 9,
        "accepted": 6,
        "rejected": 3,
        "rejected_symbolic": 2,
        "rejected_breakend": 1,
        "m_median_llr": -1.5,
        "m_sites_scored": 11,
        "m_sites_from_store": 12,
        "m_alleles_scored": 13,
        "m_alleles_from_store": 14,
    }
    assert list(document["headers"]) == list(document["data"]["c1"])
    assert document["plot_type"] == "table"


def test_median_of_nothing_is_left_out():
    document = content("c1", accounting(), {"m": PLANNED}, {"m": None})
    assert "m_median_llr" not in document["data"]["c1"]
