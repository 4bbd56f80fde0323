"""A program for a wheel's environment: both solvers run, and their gradients are right.

`nox -s wheel` runs it in another folder than the checkout.
"""


def main():
    import brian2
    from brian2 import ms

    import brian_eventprop as bep

    assert "site-packages" in bep.__file__, f"this is the checkout: {bep.__file__}"
    brian2.prefs.codegen.target = "numpy"
    inputs = brian2.SpikeGeneratorGroup(2, [0, 1, 0], [1, 2, 12] * ms)
    neurons = brian2.NeuronGroup(
        3,
        """dv/dt = (I - v)/(20*ms) : 1
           dI/dt = -I/(5*ms) : 1""",
        threshold="v > 1",
        reset="v = 0",
        method="exact",
    )
    synapses = brian2.Synapses(inputs, neurons, "w : 1", on_pre="I_post += w")
    synapses.connect()
    synapses.w = "5 + i + 0.5*j"
    synapses.delay = "(1 + 0.3*i + 0.2*j)*ms"
    for solver in ("clock", "event"):
        model = bep.EventPropModel(
            brian2.Network(inputs, neurons, synapses),
            train=[synapses.w, synapses.delay],
            loss=bep.Sum(bep.Integral(neurons, "v**2")),
            duration=40 * ms,
            solver=solver,
        )
        spikes = model.run().spikes[neurons]
        gradient = model.gradient()[synapses.w]
        assert len(spikes.t) > 3 and abs(gradient).max() > 0
        print(f"{solver}: {len(spikes.t)} spikes, dL/dw = {gradient}")
    bep.check_gradient(model)


if __name__ == "__main__":
    main()
