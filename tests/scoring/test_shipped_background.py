"""The background that ships with the yeast model: of the model and the genome that it is for."""

import numpy as np
import polars as pl
import pytest

from varlm.cli import main
from varlm.genome.encoding import index_reference
from varlm.genome.reference import Genome
from varlm.models.preparing import prepare
from varlm.scoring.background import background_scores, choose
from varlm.scoring.brought_background import FILE, bring_background
from varlm.scoring.hardware import Hardware
from varlm.scoring.shard import score_rows
from varlm.store import KINDS, Store
from varlm.store.importing import import_archive, list_archive
from varlm.store.verification import verify
from varlm.tables.schemas import LOGIT_COLUMNS, SHARD

SITES = 10_000


@pytest.fixture(scope="module")
def folder(root):
    return root / "resources/models/saccharomyces"


@pytest.fixture(scope="module")
def model(folder):
    """As config/yeast.yaml has it."""
    return prepare(folder, name="yeast", path=str(folder), revision=None, precision="auto")


def test_it_is_of_the_model_that_it_lies_beside(folder, model, tmp_path):
    archive = folder / FILE
    listed = list_archive(archive)
    assert archive.stat().st_size < 1_000_000 * len(listed)
    assert listed[model.key].model["files"] == model.files
    assert listed[model.key].model["path"] == "varlm:saccharomyces"
    import_archive(Store(tmp_path), archive)
    assert [fault for key in listed for fault in verify(tmp_path, key)] == []


@pytest.mark.real_data
@pytest.mark.parametrize("circular", [[], ["--contig", "Mito"]], ids=["linear", "circular"])
def test_it_is_of_the_yeast_genome(shared_data, folder, model, tmp_path, circular, caplog):
    caplog.set_level("INFO")
    reference, store = tmp_path / "reference", Store(tmp_path / "store")
    index_reference(shared_data / "yeast/genome.fa.gz", reference)
    assert main(["find_circular", "--reference", str(reference), *circular]) == 0
    genome = Genome.open(reference)
    bring_background(model, genome, store, SITES)
    assert "background of 30,000 SNVs taken from" in caplog.text
    chosen = choose(genome, SITES)
    kept = store.read_background(model.key, chosen.digest)
    order = ["contig", "pos", "ref", "alt"]
    assert kept.sort(order).equals(background_scores(chosen, store, model.key).sort(order))
    sample = pl.DataFrame(
        [("Mito", int(chosen.sites["Mito"][at]), None, None) for at in (0, -1)]
        + [("IX", int(chosen.sites["IX"][100]), None, None)],
        schema=SHARD.schema,
        orient="row",
    )
    scored = score_rows(sample, genome, model, Hardware(device="cpu")).sites
    keys = scored.select(
        pl.col("contig").replace_strict({n: genome[n].stored_as for n in ("Mito", "IX")}), "pos"
    )
    stored = keys.join(
        store.rows_of(model.key, KINDS["sites"], keys),
        on=["contig", "pos"],
        how="left",
        maintain_order="left",
    )
    difference = scored.select(LOGIT_COLUMNS).to_numpy() - stored.select(LOGIT_COLUMNS).to_numpy()
    assert np.abs(difference).max() < 1e-4  # few rows are computed in float32 at `auto`
