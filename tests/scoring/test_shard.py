"""What the scores of a shard are of: as before, so that a job goes on with what is kept."""

import hashlib
import json

from making.records import prepared_model
from varlm.genome.reference import Genome
from varlm.scoring.partial_scores import Method, open_partial_scores
from varlm.scoring.shard import identity


def of_before(shard, genome, settings):
    """As the code of c9c1f55 made it, of what it read from models/{model}.json."""
    contigs = genome.contigs.select("contig", "digest").rows()
    return {
        "shard": hashlib.sha256(shard.read_bytes()).hexdigest(),
        "genome": hashlib.sha256(json.dumps(contigs).encode()).hexdigest(),
        **{name: value for name, value in settings.items() if name not in ("name", "folder")},
    }


def test_what_a_job_of_before_left_is_of_the_same_shard_and_model(tmp_path, make_reference):
    shard, model, left = tmp_path / "0.parquet", tmp_path / "m.json", tmp_path / "partial"
    shard.write_bytes(b"rows")
    genome = Genome.open(make_reference({"one": "ACGT", "two": "TTTT"}))
    prepared_model(revision="a" * 40).write(model)
    before = of_before(shard, genome, json.loads(model.read_text()))
    partial = open_partial_scores(left, before)
    partial.begin(Method("winograd", 8, "cpu"))
    partial._lock.release()
    now = identity(shard, genome, prepared_model(revision="a" * 40))
    assert json.dumps(now) == json.dumps(before)
    assert open_partial_scores(left, now).method == Method("winograd", 8, "cpu")


def test_another_name_or_folder_is_the_same_model_and_any_other_key_is_not(
    tmp_path, make_reference
):
    shard = tmp_path / "0.parquet"
    shard.write_bytes(b"rows")
    genome = Genome.open(make_reference({"one": "ACGT"}))
    one = identity(shard, genome, prepared_model())
    assert identity(shard, genome, prepared_model(name="n", folder=tmp_path)) == one
    changes = {"window": 66, "strands": "forward", "precision": "auto", "key": "1" * 32}
    changes |= {"files": {"config.json": "cd" * 32}}
    for name, value in changes.items():
        assert identity(shard, genome, prepared_model(**{name: value})) != one, name
