"""Which layout synapses get: the first one that fits what is known of them."""

import pytest

from brian_eventprop.plan.layouts import (
    DenseRows,
    Facts,
    PerSpike,
    Precomputed,
    Queue,
    Tiled,
)
from brian_eventprop.plan.layouts.choice import LAYOUTS

MANY = 2**20
DENSE = {"has_dense_rows": True}
GIVEN = {"from_input": True, "size": MANY}


def chosen(**facts):
    known = {
        "size": 100, "n_target": 10, "additive": True, "from_input": False, "has_record": True,
        "has_dense_rows": False,
    }  # fmt: skip
    return next(layout for layout in LAYOUTS if layout.fits(Facts(**known | facts)))


@pytest.mark.parametrize(
    ("layout", "facts"),
    [
        (Queue, {"additive": False}),
        (Queue, {"additive": False} | DENSE | GIVEN),
        (PerSpike, {}),
        (PerSpike, {"from_input": True}),
        (PerSpike, {"size": MANY, "has_record": False} | DENSE),
        (PerSpike, {"has_record": False} | GIVEN),
        (Tiled, {"size": MANY}),
        (Tiled, {"n_target": MANY // 100} | GIVEN),  # too few synapses for each target
        (Precomputed, GIVEN),
        (DenseRows, DENSE),
        (DenseRows, DENSE | GIVEN),
    ],
)
def test_the_layout_follows_from_the_facts(layout, facts):
    assert chosen(**facts) is layout


def test_layouts_of_one_kind_are_equal():
    """A model is rendered again only if a layout has become another one."""
    assert {"s": Tiled(), "r": Queue()} == {"s": Tiled(), "r": Queue()}
    assert Tiled() != Precomputed()
    assert len({Tiled(), Tiled(), PerSpike()}) == 2
