"""What users write, for type checkers: `nox -s types` reads this file, and nobody runs it.

Brian2 has no types, so its own objects are whatever a checker makes of them; what this package
returns has the types that are asserted here.
"""

from typing import assert_type

import numpy as np
from brian2 import Network, NeuronGroup, Quantity, SpikeGeneratorGroup, Synapses, ms

import brian_eventprop as bep


def train() -> None:
    inputs = SpikeGeneratorGroup(5, [], [] * ms)
    hidden = NeuronGroup(30, "dv/dt = -v/(20*ms) : 1", threshold="v > 1", reset="v = 0")
    synapses = Synapses(inputs, hidden, "w : 1", on_pre="v_post += w")
    loss = bep.CrossEntropy(bep.Integral(hidden, "v*exp(-t/T)"), scale=200)
    loss = 2 * loss + bep.FiringRate(hidden, lower=1, upper=14, strength=1e-3)
    model = bep.EventPropModel(
        Network(inputs, hidden, synapses),
        train=[synapses.w, bep.Axonal(synapses.delay)],
        loss=loss,
        duration=60 * ms,
        solver="event",
    )
    data = bep.datasets.yin_yang("train")
    assert_type(data, bep.SpikeData)
    assert_type(data[:50], bep.SpikeData)
    rates = {synapses.w: 5e-3, synapses.delay: bep.schedules.cosine(0.1 * ms, 12)}
    trainer = bep.Trainer(model, bep.Adam(rates), callbacks=[bep.EarlyStopping(patience=3)])
    assert_type(trainer.fit(data, epochs=12, batch_size=20, validation=data), bep.History)

    result = model.run(data[:50])
    assert_type(result.loss, float | None)
    gradients = model.gradient()
    assert_type(gradients[synapses.w], Quantity)
    assert_type(gradients.flatten(), np.ndarray)
    model.parameters[synapses.w] = model.parameters[synapses.w] - 0.1 * gradients[synapses.w]
    model.write_back()
    model.save("trained.h5")
    bep.load_parameters("trained.h5", model)
    bep.check_gradient(model, data[:5])
    print(model.summary(), model.equations, model.source)


def refused() -> None:
    try:
        train()
    except bep.UnsupportedError as error:
        assert_type(error.refusals, tuple[str, ...])
