"""Fixtures that several test files share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Shared machines stall for seconds: a deadline would measure the machine.
settings.register_profile("varlm", deadline=None, max_examples=50)
settings.load_profile("varlm")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real genomes and cohorts; the test is skipped, saying so, without it."""
    folder = Path(os.environ.get("VARLM_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real data not found at {folder}; set VARLM_SHARED_DATA")
    return folder


@pytest.fixture
def make_reference(tmp_path):
    """A function: {contig: sequence} → the `reference/` folder that index_reference makes."""
    from varlm.reference import index_reference

    def make(contigs: dict[str, str], folder: str = "reference") -> Path:
        fasta = tmp_path / f"{folder}.input.fa"
        fasta.write_text("".join(f">{name}\n{seq}\n" for name, seq in contigs.items()))
        index_reference(fasta, tmp_path / folder)
        return tmp_path / folder

    return make
