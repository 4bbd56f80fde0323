"""Brian2 objects to a frozen `NetworkSpec`, and values back into the Brian2 objects."""

from brian_eventprop.reading.axons import Axonal, per_synapse, with_axonal_delays
from brian_eventprop.reading.influence import check_influence
from brian_eventprop.reading.network import network_objects, read_network
from brian_eventprop.reading.views import key_of
from brian_eventprop.reading.writing import write_connections, write_values

__all__ = [
    "Axonal",
    "check_influence",
    "key_of",
    "network_objects",
    "per_synapse",
    "read_network",
    "with_axonal_delays",
    "write_connections",
    "write_values",
]
