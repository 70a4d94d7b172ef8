"""The files of a report are opened once: what is made of them needs no file."""

import json
import shutil

import pytest

from making.report import make_inputs
from varlm.errors import UserError
from varlm.report.cohort import make_report
from varlm.report.inputs import ReportOptions
from varlm.report.links import BrowserLink
from varlm.report.reading import ModelFiles, ReportFiles, read_inputs, read_object


def files_of(inputs):
    folder = inputs.folder
    models = [
        ModelFiles(
            folder / "models" / f"{model}.json",
            folder / "plan" / model / "plan.json",
            folder / "commits" / f"{model}.json",
            folder / "background" / f"{model}.parquet",
            folder / "pictures" / f"{model}.parquet",
        )
        for model in inputs.models
    ]
    return ReportFiles(
        folder / "annotated.parquet",
        folder / "accounting.json",
        folder / "reference",
        models,
        folder / "rejected.tsv.gz",
    )


def test_a_report_is_made_of_values(tmp_path):
    inputs = make_inputs(tmp_path / "inputs", rows=300, models=("gpn", "other"))
    inputs.settings = {"scoring": {"window": 128}}
    inputs.browsers = ["B=https://a.example/{chrom}"]
    whole = inputs.make()
    options = ReportOptions(
        inputs.top_hits, inputs.pictures, inputs.flank, [BrowserLink.parse(inputs.browsers[0])]
    )
    values = read_inputs(files_of(inputs), inputs.cohort, inputs.settings, options)
    shutil.rmtree(inputs.folder)
    assert make_report(values).html == whole


@pytest.mark.parametrize(("rows", "width"), [(200, 20_000), (1000, 10_000), (4000, 5_000)])
def test_the_more_alleles_the_narrower_the_bins_of_the_genome(tmp_path, rows, width):
    lengths = {"chr1": 400_000}
    inputs = make_inputs(tmp_path, rows, lengths=lengths)
    values = read_inputs(files_of(inputs), "cohort", {}, ReportOptions(5, 1, 2))
    assert (values.bins.contigs, values.bins.width) == (lengths, width)
    assert values.counts["gpn"].all().total == rows
    assert values.models[0].hits.height == 5


def test_json_that_is_no_object_is_refused(tmp_path):
    path = tmp_path / "plan.json"
    path.write_text(json.dumps([1]))
    with pytest.raises(UserError, match="found a list, expected a JSON object"):
        read_object(path)
