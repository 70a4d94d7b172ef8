"""report.json: the bytes of before, and the LLRs in it."""

import json

import numpy as np
import polars as pl
import pytest

from making.records import accounting
from making.report import make_inputs, summary
from varlm.errors import UserError
from varlm.report.counts import GenomeBins, count
from varlm.report.distributions import of_values
from varlm.report.summaries import ClassHistogram, CohortSummary, ModelSummary, cohort_summary
from varlm.scoring.plan_record import Counts

# As the step report of c9c1f55 wrote it, in fewer classes.
OLD = """\
{
  "cohort": "caf\\u00e9",
  "alleles_in": 9,
  "accepted": 6,
  "rejected": 3,
  "rejected_by_reason": {
    "symbolic": 2,
    "breakend": 1
  },
  "class": "consequence",
  "models": {
    "gpn": {
      "planned": {
        "sites": 4,
        "sites_from_store": 3,
        "sites_scored": 1,
        "alleles": 1,
        "alleles_from_store": 0,
        "alleles_scored": 1
      },
      "classes": [
        {
          "name": null,
          "bins": [],
          "counts": []
        },
        {
          "name": "stop_lost",
          "bins": [
            1986,
            1992
          ],
          "counts": [
            1,
            5
          ]
        }
      ]
    }
  }
}
"""


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "report.json"
    path.write_text(OLD, encoding="utf-8")
    return path


def test_an_old_file_is_read_and_written_to_the_same_bytes(tmp_path, old):
    CohortSummary.read(old).write(tmp_path / "new.json")
    assert (tmp_path / "new.json").read_bytes() == old.read_bytes()


def test_what_an_old_file_says(old):
    entry = CohortSummary.read(old)
    assert (entry.cohort, entry.class_column) == ("café", "consequence")
    of_model = entry.models["gpn"]
    assert of_model.planned.sites_from_store == 3
    assert [histogram.name for histogram in of_model.classes] == [None, "stop_lost"]
    assert of_model.scores.total == 6
    assert of_model.scores.counts[1992] == 5


def of_histogram(histogram):
    return ModelSummary(planned=Counts(), classes=(histogram,)).scores


@pytest.mark.parametrize("values", [[], [-1.0], [-3.2, -3.2, 0.4, 1e6]])
def test_a_histogram_is_its_distribution(values):
    llrs = of_values(np.array(values))
    histogram = ClassHistogram.of("x", llrs)
    assert 0 not in histogram.counts
    assert np.array_equal(of_histogram(histogram).counts, llrs.counts)


def test_the_llrs_of_a_model_are_those_of_its_classes():
    entry = summary("c", {"a": [-1.0, -2.0], "b": [-2.0]})
    expected = of_values(np.array([-1.0, -2.0, -2.0]))
    assert np.array_equal(entry.models["m"].scores.counts, expected.counts)
    assert summary("c", {}).models["m"].scores.total == 0


def test_what_a_report_leaves_is_the_accounting_the_plan_and_the_table(tmp_path):
    make_inputs(tmp_path, rows=300, with_consequences=False)
    path = tmp_path / "annotated.parquet"
    counts = count(path, ["gpn"], GenomeBins({}, 10, 0), {})
    planned = Counts(sites=7)
    entry = cohort_summary(accounting(), {"gpn": planned}, counts)
    assert (entry.cohort, entry.alleles_in, entry.accepted, entry.rejected) == ("c", 9, 6, 3)
    assert entry.rejected_by_reason == accounting().by_reason
    assert entry.class_column == "kind"
    assert entry.models["gpn"].planned == planned
    of_model = entry.models["gpn"]
    totals = {h.name: of_model.scores_of(h).total for h in of_model.classes}
    assert totals == dict(pl.read_parquet(path)["kind"].value_counts().iter_rows())


def test_a_file_of_another_shape_is_refused(old):
    document = json.loads(OLD)
    document["models"]["gpn"]["classes"][1]["bins"][0] = "1986"
    old.write_text(json.dumps(document))
    said = r'report\.json: models\.gpn\.classes\[1\]\.bins\[0\]: found "1986".*the step report'
    with pytest.raises(UserError, match=said):
        CohortSummary.read(old)
    old.write_text("[]")
    with pytest.raises(UserError, match="expected a JSON object"):
        CohortSummary.read(old)
