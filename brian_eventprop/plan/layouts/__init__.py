"""How the synapses of a pathway lie in memory: a file for each layout, and this index."""

from brian_eventprop.plan.layouts.choice import choose_layouts
from brian_eventprop.plan.layouts.dense_rows import DenseRows
from brian_eventprop.plan.layouts.layout import Facts, SynapseLayout
from brian_eventprop.plan.layouts.per_spike import PerSpike
from brian_eventprop.plan.layouts.precomputed import Precomputed
from brian_eventprop.plan.layouts.queue import Queue
from brian_eventprop.plan.layouts.tiled import Tiled

__all__ = [
    "DenseRows", "Facts", "PerSpike", "Precomputed", "Queue", "SynapseLayout", "Tiled",
    "choose_layouts",
]  # fmt: skip
