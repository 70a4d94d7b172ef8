"""Store the oracle's answers: `python tests/data/parity/regenerate.py` from a checkout.

Needs a Python with `gpn[inference]==0.9.0a1` (see CONTRIBUTING.md) beside varlm's own.
"""

import json
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TESTS), str(TESTS.parent / "workflow_scripts")]

import making.parity_cases as parity_cases  # noqa: E402

if __name__ == "__main__":
    python = parity_cases.peer_python()
    if python is None:
        sys.exit("no Python with gpn[inference] found; set VARLM_PEER_PYTHON")
    with tempfile.TemporaryDirectory() as folder:
        answers = parity_cases.run_peer(python, Path(folder))
    parity_cases.EXPECTED.write_text(json.dumps(answers, indent=1) + "\n")
