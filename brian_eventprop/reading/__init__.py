"""Brian2 objects to a frozen `NetworkSpec`, and values back into the Brian2 objects."""

from brian_eventprop.reading.network import network_objects, read_network

__all__ = ["network_objects", "read_network"]
