"""Embeddings in parts: what is written is read, and nothing else."""

import numpy as np
import pytest

from making.probes import embedded
from varlm.errors import UserError
from varlm.probing.parts import mapped, open_embeddings, part_path
from varlm.probing.writing import PART_BYTES, PART_ROWS, PartsWriter, part_slices

ROWS, LENGTH, CHANNELS = 30, 12, 8


@pytest.fixture
def values():
    return np.random.default_rng(0).normal(size=(ROWS, LENGTH, CHANNELS)).astype(np.float32)


def table():
    return {
        "labels": np.arange(ROWS, dtype=float),
        "folds": [f"chr{row % 3}" for row in range(ROWS)],
        "sequences": ["ACGT" * 3] * ROWS,
    }


def test_features_are_what_was_written(tmp_path, values):
    embeddings = open_embeddings(embedded(tmp_path, values, **table()))
    assert len(embeddings.parts) > 2
    assert [part.rows.stop - part.rows.start for part in embeddings.parts] == [10, 10, 10]
    np.testing.assert_array_equal(embeddings.features("all"), values)
    np.testing.assert_array_equal(embeddings.features("centre"), values[:, LENGTH // 2])
    np.testing.assert_allclose(embeddings.features("mean"), values.mean(1), atol=1e-6)
    assert embeddings.rows["label"].to_list() == [*range(ROWS)]
    assert embeddings.rows["fold"][:4].to_list() == ["chr0", "chr1", "chr2", "chr0"]


def test_rows_are_taken_in_any_order(tmp_path, values):
    embeddings = open_embeddings(embedded(tmp_path, values, **table()))
    rows = np.array([29, 3, 11, 3])
    np.testing.assert_array_equal(embeddings.take(rows), values[rows])


def test_variants_have_the_reference_and_alt(tmp_path, values):
    both = np.stack([values, -values])
    folder = embedded(tmp_path, both, **table(), alternates=["TCGT" * 3] * ROWS, kind="variants")
    embeddings = open_embeddings(folder)
    assert embeddings.record.variants
    np.testing.assert_array_equal(embeddings.features("all"), both)
    np.testing.assert_array_equal(embeddings.features("centre"), both[:, :, LENGTH // 2])
    rows = np.array([29, 0])
    np.testing.assert_array_equal(embeddings.take(rows), both[:, rows])


def test_what_is_not_stored_is_an_error(tmp_path, values):
    mean = values.mean(1, keepdims=True)
    embeddings = open_embeddings(embedded(tmp_path, mean, **table(), positions="mean"))
    np.testing.assert_array_equal(embeddings.features("mean"), mean[:, 0])
    for positions in ("all", "centre"):
        with pytest.raises(UserError, match=f"positions: mean, asked for {positions}"):
            embeddings.features(positions)


def test_a_changed_part_is_an_error(tmp_path, values):
    folder = embedded(tmp_path, values, **table())
    path = part_path(folder, 1)
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with pytest.raises(UserError, match=r"part-00001\.npy: missing or changed"):
        open_embeddings(folder).features("mean")
    path.unlink()
    with pytest.raises(UserError, match=r"part-00001\.npy: missing or changed"):
        open_embeddings(folder).features("mean")


def test_embeddings_without_their_record_are_not_done(tmp_path, values):
    folder = embedded(tmp_path, values, **table())
    (folder / "embeddings.json").unlink()
    with pytest.raises(UserError, match="the step embed makes it"):
        open_embeddings(folder)


def test_parts_of_the_same_are_kept_and_others_removed(tmp_path, values):
    folder = embedded(tmp_path, values, **table())
    shape = (10, LENGTH, CHANNELS)
    writer = PartsWriter(folder, "test")
    assert [writer.has(number, shape) for number in range(4)] == [True, True, True, False]
    part_path(folder, 0).write_bytes(part_path(folder, 0).read_bytes()[:-40])
    assert not writer.has(0, shape)  # cut
    PartsWriter(folder, "other")
    assert not list(folder.glob("part-*"))
    assert mapped(part_path(folder, 1), shape) is None


def test_parts_are_bounded():
    row = 2 * 128 * 512 * 4
    slices = part_slices(6362, row)
    assert max(part.stop - part.start for part in slices) * row <= PART_BYTES
    assert [*range(6362)] == [row for part in slices for row in range(part.start, part.stop)]
    assert max(part.stop - part.start for part in part_slices(10_000, 1)) == PART_ROWS
    assert part_slices(2, PART_BYTES + 1) == [slice(0, 1), slice(1, 2)]
