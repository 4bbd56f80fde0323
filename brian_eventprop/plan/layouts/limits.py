"""From how many synapses on a layout pays, as measured; see `benchmarks/scaling.py`."""

#: Fewest synapses of a projection from inputs whose spikes are summed before the first step.
#: Fewer fit into the first cache with all that belongs to them, and then there is nothing to gain.
PRECOMPUTED_SYNAPSES = 4096

#: Fewest synapses per target neuron for that: what arrives must be read again at every step.
FAN_IN = 128

#: Most synapses of a projection whose gradients are accumulated spike by spike.  Each spike then
#: reads and writes all that belongs to its synapses, 14 bytes for each: the last cache must hold
#: that.
PER_SPIKE_SYNAPSES = 2**19

#: Most bytes of a record of a whole trial, for each thread.  If it would be longer, gradients are
#: accumulated spike by spike however many synapses there are: writing and clearing the record at
#: every step then takes longer than the synapses that are out of the cache.
RECORD = 2**27
