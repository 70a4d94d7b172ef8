"""Which positions each layer makes: all that the answer reads, and few of the later layers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from varlm.models.gpn.reach import Reach, plan


def test_the_last_layers_of_the_legacy_shape_need_few_positions():
    """The figures of the issue: 512 … 457, 225, 81, 9, 1."""
    reaches = [Reach(9, 2 ** (layer % 6)) for layer in range(25)]
    plans = plan(reaches, np.array([256]), 512, lambda *_: False)
    assert [len(positions) for positions in plans[-5:]] == [457, 225, 81, 9, 1]
    assert len(plans[0]) == 512
    work = sum(len(positions) for positions in plans[1:])
    assert 1 - work / (25 * 512) == pytest.approx(0.14, abs=0.01)


@given(
    st.integers(1, 60),
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 5)), max_size=5),
    st.data(),
)
def test_a_plan_holds_all_that_is_read(length, shapes, data):
    reaches = [Reach(taps, dilation) for taps, dilation in shapes]
    index = data.draw(st.integers(0, length - 1))
    hull = data.draw(st.booleans())
    plans = plan(reaches, np.array([index]), length, lambda *_: hull)
    assert plans[-1].tolist() == [index]
    for reach, inputs, outputs in zip(reaches, plans[:-1], plans[1:], strict=True):
        held = set(inputs.tolist())
        assert set(outputs.tolist()) <= held
        for output in outputs.tolist():
            for tap in range(reach.taps):
                read = output - reach.before + tap * reach.dilation
                assert read in held or not 0 <= read < length
