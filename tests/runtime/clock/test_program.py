"""Arrays as the numbers that the operations of the clock solver read."""

import numpy as np

from brian_eventprop.runtime.clock.program import Arrays


def test_what_was_described_before_is_taken_again_only_for_the_same_array():
    kept, replaced = np.zeros(3), np.zeros(3)
    before = Arrays({("g", "x"): kept, ("g", "y"): replaced})
    now = {("g", "y"): np.zeros((2, 3), np.int32), ("g", "x"): kept}
    found, afresh = Arrays(now, before), Arrays(now)
    np.testing.assert_array_equal(found.numbers, afresh.numbers)
    assert found.keys == (("g", "y"), ("g", "x"))
    assert found.kinds == ((np.dtype(np.int32), 2), (np.dtype(float), 1))
    np.testing.assert_array_equal(found.numbers[[1, 2, 4]], [2, 3, 3])
    assert found.numbers[3] == before.numbers[0]
