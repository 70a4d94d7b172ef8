"""Fixtures that several test files share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Shared machines stall for seconds: a deadline would measure the machine. `make test` draws few
# examples; `make test-slow` draws many in the same tests (--hypothesis-profile).
settings.register_profile("quick", deadline=None, max_examples=20)
settings.register_profile("thorough", deadline=None, max_examples=150)
settings.load_profile("quick")

ROOT = Path(__file__).resolve().parent.parent

# Files that take minutes; they go first, then all with a slow test, so that no process is left
# alone with one at the end.
LONG = (
    *("workflow/test_slurm.py", "workflow/test_killed_runs.py", "benchmarks/test_smoke.py"),
    "scoring/test_interruption.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of the longest files first; mark those that draw their inputs."""
    order = {ROOT / "tests" / name: place for place, name in enumerate(LONG)}
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: order.get(item.path, len(LONG) + (item.path not in slow)))
    for item in items:
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker(pytest.mark.drawn)


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


@pytest.fixture(scope="session")
def browser():
    """Chromium, one a process: starting it takes longer than most pages; see `making.browser`.

    A test opens pages with `making.browser.opened`, each in a context (profile) of its own.
    """
    from making.browser import chromium

    with chromium() as running:
        yield running


@pytest.fixture
def make_reference(tmp_path):
    """A function: {contig: sequence} → the `reference/` folder that index_reference makes."""
    from varlm.genome.encoding import index_reference

    def make(contigs: dict[str, str], folder: str = "reference") -> Path:
        fasta = tmp_path / f"{folder}.input.fa"
        fasta.write_text("".join(f">{name}\n{seq}\n" for name, seq in contigs.items()))
        index_reference(fasta, tmp_path / folder)
        return tmp_path / folder

    return make
