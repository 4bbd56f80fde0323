"""Brian2 objects to a frozen `NetworkSpec`, and values back into the Brian2 objects."""

from brian_eventprop.reading.equations.influence import check_influence, influences
from brian_eventprop.reading.events import check_exclusive
from brian_eventprop.reading.functions.definition import function
from brian_eventprop.reading.inputs import (
    check_input_steps,
    on_own_grid,
    period_of,
    read_spikes,
)
from brian_eventprop.reading.live.axons import Axonal, per_synapse, with_axonal_delays
from brian_eventprop.reading.live.changes import ReadValues
from brian_eventprop.reading.live.recording import (
    Recording,
    own_states,
    with_adjoints,
    with_readouts,
)
from brian_eventprop.reading.live.thresholds import slope_dimensions
from brian_eventprop.reading.live.timed_arrays import (
    timed_keys,
    with_timed_values,
    write_timed_values,
)
from brian_eventprop.reading.live.views import key_of, view_key
from brian_eventprop.reading.live.writing import write_connections, write_values
from brian_eventprop.reading.network import is_monitor, left_out, network_objects, read_network
from brian_eventprop.reading.refused.ignored import ignored_objects

__all__ = [
    "Axonal",
    "ReadValues",
    "Recording",
    "check_input_steps",
    "function",
    "ignored_objects",
    "is_monitor",
    "check_exclusive",
    "check_influence",
    "influences",
    "key_of",
    "left_out",
    "network_objects",
    "on_own_grid",
    "own_states",
    "per_synapse",
    "period_of",
    "read_network",
    "read_spikes",
    "slope_dimensions",
    "timed_keys",
    "view_key",
    "with_adjoints",
    "with_axonal_delays",
    "with_readouts",
    "with_timed_values",
    "write_connections",
    "write_timed_values",
    "write_values",
]
