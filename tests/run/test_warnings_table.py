"""warnings.tsv is read as it was written."""

from varlm.run.step_warnings import StepWarning
from varlm.run.warnings_table import COLUMNS, write_warnings
from varlm.tables.tsv import read_tsv


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
    assert path.read_text().splitlines()[1] == "normalise\ta\t\t'=1+1\\x09x\tnormalise/a.log"
    table = read_tsv(path)
    assert table.columns == list(COLUMNS)
    assert table.rows() == [
        ("normalise", "a", None, "=1+1\tx", "normalise/a.log"),
        ("plan", None, "m", "plain", "plan/m.log"),
    ]
