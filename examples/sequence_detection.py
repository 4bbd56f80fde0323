"""Sequence detection: which of two inputs spiked first?  Only delays are learned.

All weights are 1 and stay there.  Each output shall reach the higher potential for one of the two
orders, so its delays must bring the two spikes together.  The training starts from the worst
delays: each output answers to the wrong order.
"""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from brian2 import *

import brian_eventprop as bep

prefs.codegen.target = "numpy"
defaultclock.dt = 0.5 * ms

inputs = SpikeGeneratorGroup(2, [], [] * ms)
output = NeuronGroup(
    2,
    """dv/dt = (I - v)/(10*ms) : 1
       dI/dt = -I/(5*ms) : 1""",
    method="exact",
)
synapses = Synapses(inputs, output, "w : 1", on_pre="I_post += w")
synapses.connect()
synapses.w = 1
synapses.delay = "int(i != j) * 10*ms"

model = bep.EventPropModel(
    [inputs, output, synapses],
    train=[synapses.delay],
    loss=bep.CrossEntropy(bep.Maximum(output, "v"), scale=10),
    duration=40 * ms,
)
data = bep.datasets.sequence_detection(interval=10 * ms)
trainer = bep.Trainer(model, bep.Adam({synapses.delay: 1 * ms}))

print(f"accuracy at the start: {trainer.evaluate(data)['accuracy']:.0%}")
history = trainer.fit(data, epochs=15, batch_size=1)
print(f"accuracy at the end: {trainer.evaluate(data)['accuracy']:.0%}")
print(f"first epoch without an error: {history['accuracy'].argmax()}")

model.write_back()
for i, j, delay in zip(synapses.i, synapses.j, synapses.delay, strict=True):
    print(f"delay from input {i} to output {j}: {delay / ms:.1f} ms")

history.plot()
plt.savefig("sequence_detection.png", dpi=120)
