"""Parity with the oracle, `python -m gpn.ss.run_vep`, within 1e-4 in float32."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import making.parity_cases as parity_cases
from making.scoring import toy_model
from varlm.genome.reference import Genome
from varlm.scoring import formulas
from varlm.scoring.hardware import Hardware
from varlm.scoring.shard import score_rows
from varlm.tables.schemas import SHARD

CASES = [(name, window) for name in parity_cases.ARCHITECTURES for window in parity_cases.WINDOWS]


def our_llr(folder: Path, genome: Genome, window: int, mode: str) -> np.ndarray:
    """The LLR of each site, from the rows that the step `score` writes."""
    model = toy_model(folder, window, precision=mode)  # also modes that no config can ask for
    sites = parity_cases.sites()
    rows = pl.DataFrame(
        [(contig, position, None, None) for contig, position, _, _ in sites],
        schema=SHARD.schema,
        orient="row",
    )
    scores = score_rows(rows, genome, model, Hardware("cpu", batch_size=2))
    assert scores.run.arithmetic == mode
    refs, alts = np.array(sites)[:, 2:].T
    logits = formulas.site_logits(scores.sites)
    return formulas.snv_scores(logits, formulas.base_index(refs), formulas.base_index(alts))["llr"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parity")
    return {name: parity_cases.checkpoint(folder, name) for name in parity_cases.ARCHITECTURES}


@pytest.mark.parametrize(("architecture", "window"), CASES)
@pytest.mark.parametrize("mode", ["float32", "winograd"])
def test_llr_equals_the_stored_answers(models, make_reference, architecture, window, mode):
    if mode == "winograd" and architecture == "roformer":
        mode = "float32"
    stored = np.array(json.loads(parity_cases.EXPECTED.read_text())[f"{architecture}/{window}"])
    genome = Genome.open(make_reference(parity_cases.genome()))
    ours = our_llr(models[architecture], genome, window, mode)
    assert len(stored) == len(parity_cases.sites())
    assert np.std(stored) > 0.3  # answers that differ: an agreement says something
    np.testing.assert_allclose(ours, stored, atol=1e-4, rtol=0)


@pytest.mark.peer
@pytest.mark.slow
def test_the_stored_answers_are_those_of_run_vep(tmp_path):
    python = parity_cases.peer_python()
    if python is None:
        pytest.skip("no Python with gpn[inference] found; set VARLM_PEER_PYTHON")
    stored = json.loads(parity_cases.EXPECTED.read_text())
    answers = parity_cases.run_peer(python, tmp_path)
    assert answers.keys() == stored.keys()
    for name, values in answers.items():
        np.testing.assert_allclose(values, stored[name], atol=1e-5, rtol=0)
