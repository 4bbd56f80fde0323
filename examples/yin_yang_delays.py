"""Yin-Yang with few hidden neurons: what trainable delays are worth, on both solvers.

    python examples/yin_yang_delays.py --hidden 5 30 --delays none learned \\
        --solver event clock --seeds 0 1 2 3 4 --results yin_yang.jsonl

The first output neuron to spike tells the class.  The average of the parameters over the last steps
is what is kept; it sees the test set once.
"""

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from brian2 import *
from experiment import combinations, n_parameters, run_all

import brian_eventprop as bep
from brian_eventprop import plotting
from brian_eventprop.datasets.yin_yang import encode_points

LIF = """dv/dt = (I - v)/tau_m : 1
         dI/dt = -I/tau_s : 1"""
NEURON = dict(model=LIF, threshold="v > 1", reset="v = 0", method="exact")
SYNAPSE = dict(model="w : 1", on_pre="I_post += w")


def network(hidden, delays, solver, dt, seed):
    """Return the model and the optimiser's learning rates at the start."""
    start_scope()
    np.random.seed(seed)
    defaultclock.dt = dt * ms
    inputs = SpikeGeneratorGroup(5, [], [] * ms)
    layer, output = NeuronGroup(hidden, **NEURON), NeuronGroup(3, **NEURON)
    s_in, s_out = Synapses(inputs, layer, **SYNAPSE), Synapses(layer, output, **SYNAPSE)
    s_in.connect()
    s_out.connect()
    # Fewer neurons need stronger synapses for the outputs to spike.
    s_in.w, s_out.w = "1 + 2.5*rand()", f"{1 + 8 / hidden} + {np.sqrt(30 / hidden)}*randn()"
    trained = {s_in.w: 5e-3, s_out.w: 5e-3}
    if delays != "none":
        s_in.delay, s_out.delay = "10*ms*rand()", "2*ms*rand()"
    if delays == "learned":
        trained[s_in.delay], trained[s_out.delay] = 0.1 * ms, 0.1 * ms
    model = bep.EventPropModel(
        [inputs, layer, output, s_in, s_out],
        train=list(trained),
        # inputs come until 30 ms; a neuron that stays silent counts as one that spikes at 35 ms
        loss=bep.TimeToFirstSpike(output, tau=1 * ms, closeness="v - 1", late=35 * ms),
        duration=60 * ms,
        solver=solver,
        threads=1,
        namespace={"tau_m": 20 * ms, "tau_s": 5 * ms},
    )
    return model, trained, s_in


def train(
    hidden, delays, solver, seed, epochs, batch_size, rate, dt, trials, floor=0.0, figure=None
):
    """Train one network and return what is reported of it."""
    model, rates, s_in = network(hidden, delays, solver, dt, seed)
    before = np.array(s_in.delay[:])
    falling = {v: bep.schedules.cosine(rate * start, epochs, 0.02) for v, start in rates.items()}
    # A potential that only grazes the threshold has a huge gradient: forget it soon.
    optimizer = bep.Adam(falling, beta2=0.99)
    data = {split: bep.datasets.yin_yang(split) for split in ("train", "validation", "test")}
    data["train"] = data["train"][:trials]
    hooks = [bep.LiftSilent({next(iter(rates)): 0.1}), bep.ParameterAverage(0.998)]
    grazing = bep.SlopeFloor(floor) if floor else None
    trainer = bep.Trainer(model, optimizer, hooks, grazing=grazing)
    history = trainer.fit(
        data["train"],
        epochs=epochs,
        batch_size=batch_size,
        validation=data["validation"],
        seed=seed,
        progress=False,
    )
    if figure:
        picture(figure, trainer, history, before, model, s_in if delays == "learned" else None)
    losses = history["val_loss"]
    return {
        "test_accuracy": trainer.evaluate(data["test"])["accuracy"],
        "validation_accuracy": float(history["val_accuracy"][-1]),
        "steepest_rise": round(float(np.max(losses[1:] / losses[:-1], initial=0)), 2),
        "train_accuracy": trainer.evaluate(data["train"])["accuracy"],
        "parameters": n_parameters(model),
        "epoch_seconds": round(float(np.median(history["seconds"])), 2),
    }


def picture(path, trainer, history, before, model, s_in):
    """Draw the learning curves, what the network decides, and its delays."""
    rows = 1 if s_in is None else 2
    figure, axes = plt.subplots(rows, 3, figsize=(12, 3.6 * rows), layout="constrained")
    axes = np.atleast_2d(axes)
    plotting.learning_curves(history, axes[0, :2])
    plotting.decision_map(trainer.predict, encode_points, axes=axes[0, 2])
    if s_in is not None:
        plotting.delays(before, model.parameters[s_in.delay], axes[1, :2])
        axes[1, 2].axis("off")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hidden", type=int, nargs="+", default=[5, 30])
    parser.add_argument(
        "--delays", nargs="+", default=["none", "learned"], choices=["none", "fixed", "learned"]
    )
    parser.add_argument("--solver", nargs="+", default=["event"], choices=["event", "clock"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--rate", type=float, default=2.0, help="factor on all learning rates")
    parser.add_argument("--dt", type=float, default=0.1, help="in ms, of the clock solver")
    parser.add_argument("--trials", type=int, default=5000, help="training trials")
    parser.add_argument(
        "--floor", type=float, nargs="+", default=[0.0], help="least slope, parts of the median"
    )
    parser.add_argument("--results", default="yin_yang_delays.jsonl")
    parser.add_argument("--figure", help="picture of the last network that was trained")
    chosen = parser.parse_args()

    def train_one(**configuration):
        return train(**configuration, figure=chosen.figure)

    configurations = combinations(
        seed=chosen.seeds,
        solver=chosen.solver,
        hidden=chosen.hidden,
        delays=chosen.delays,
        epochs=[chosen.epochs],
        batch_size=[chosen.batch_size],
        rate=[chosen.rate],
        dt=[chosen.dt],
        trials=[chosen.trials],
        floor=chosen.floor,
    )
    run_all(configurations, train_one, chosen.results)


if __name__ == "__main__":
    prefs.codegen.target = "numpy"
    main()
