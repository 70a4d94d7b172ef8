"""Parity with the oracle, `python -m gpn.ss.run_vep`, within 1e-4 in float32."""

import json

import numpy as np
import pytest

import making.parity_cases as parity_cases
from varlm.genome.reference import Genome
from varlm.models import load_model
from varlm.scoring import formulas
from varlm.scoring.scorer import Scorer, score_sites

CASES = [(name, window) for name in parity_cases.ARCHITECTURES for window in parity_cases.WINDOWS]


def our_llr(model, genome: Genome, window: int) -> np.ndarray:
    found = []
    for contig, position, ref, alt in parity_cases.sites():
        logits = score_sites(
            Scorer(model, batch_size=2), genome.sequence(contig), np.array([position - 1]), window
        )
        ref_index, alt_index = formulas.base_index(np.array([ref, alt]))[:, None]
        found.append(formulas.snv_scores(logits, ref_index, alt_index).llr[0])
    return np.array(found)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parity")
    return {
        name: load_model(parity_cases.checkpoint(folder, name))
        for name in parity_cases.ARCHITECTURES
    }


@pytest.mark.parametrize(("architecture", "window"), CASES)
@pytest.mark.parametrize("mode", ["float32", "winograd"])
def test_llr_equals_the_stored_answers(models, make_reference, architecture, window, mode):
    if mode == "winograd" and architecture == "roformer":
        mode = "float32"
    stored = np.array(json.loads(parity_cases.EXPECTED.read_text())[f"{architecture}/{window}"])
    models[architecture].set_mode(mode)
    genome = Genome.open(make_reference(parity_cases.genome()))
    found = our_llr(models[architecture], genome, window)
    assert len(stored) == len(parity_cases.sites())
    assert np.std(stored) > 0.3  # answers that differ: an agreement says something
    np.testing.assert_allclose(found, stored, atol=1e-4, rtol=0)


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
