"""warnings.tsv is read as it was written, and runs nothing in a spreadsheet."""

import csv

from varlm.results.warnings_table import COLUMNS, write_warnings
from varlm.run.step_warnings import StepWarning


def test_a_row_a_warning_and_a_header_of_none(tmp_path):
    path = tmp_path / "warnings.tsv"
    write_warnings([], path)
    assert path.read_text() == "step\tcohort\tmodel\twarning\tlog\n"
    write_warnings(
        [
            StepWarning("normalise", "a", None, "=1+1\tx", "normalise/a.log"),
            StepWarning("plan", None, "m", "plain", "plan/m.log"),
        ],
        path,
    )
    with path.open() as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    assert rows == [
        list(COLUMNS),
        ["normalise", "a", "NA", "'=1+1\\x09x", "normalise/a.log"],
        ["plan", "NA", "m", "plain", "plan/m.log"],
    ]
