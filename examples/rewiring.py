"""Two ways to learn delays, together: rewiring ("long-term") and the gradient ("short-term").

Yin-Yang with few synapses: each of 40 hidden neurons starts with two of the five inputs, and the
number of synapses is kept.  DEEP R moves a synapse whose weight crosses zero to another pair of
neurons, with a delay drawn anew; the gradient moves the delays that there are.  Four networks start
from the same weights, delays and connections: nothing but weights is learned, only one of the two
ways is on, or both.  Takes a few minutes; ``--epochs 2`` for a quick look.
"""

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from brian2 import *

import brian_eventprop as bep

prefs.codegen.target = "numpy"
BrianLogger.suppress_name("unused_brian_object")

LIF = """dv/dt = (I - v)/(20*ms) : 1
         dI/dt = -I/(5*ms) : 1"""
NEURON = dict(model=LIF, threshold="v > 1", reset="v = 0", method="exact")
SYNAPSE = dict(model="w : 1", on_pre="I_post += w")
DELAYS = (0 * ms, 15 * ms)


def train(rewired, learned, setting):
    """Train one network; return its test accuracy, history, model and input synapses."""
    start_scope()
    random = np.random.default_rng(setting.seed)
    inputs = SpikeGeneratorGroup(5, [], [] * ms)
    hidden = NeuronGroup(setting.hidden, **NEURON)
    output = NeuronGroup(3, **NEURON)
    s_in = Synapses(inputs, hidden, **SYNAPSE)
    s_out = Synapses(hidden, output, **SYNAPSE)
    pre = np.concatenate([random.permutation(5)[:2] for _ in range(setting.hidden)])
    s_in.connect(i=pre, j=np.repeat(np.arange(setting.hidden), 2))
    s_out.connect()
    s_in.w = random.uniform(0.2, 6, len(s_in))
    s_in.delay = random.uniform(*(d / ms for d in DELAYS), len(s_in)) * ms
    s_out.w = random.normal(1, 1, len(s_out))
    model = bep.EventPropModel(
        [inputs, hidden, output, s_in, s_out],
        train=[s_in.w, s_in.delay, s_out.w],
        loss=bep.TimeToFirstSpike(output, tau=1 * ms, closeness="v - 1"),
        duration=60 * ms,
        solver="event",
    )
    rates = {s_in.w: 5e-2, s_in.delay: 0.2 * ms if learned else 0 * ms, s_out.w: 1e-2}
    falling = {view: bep.schedules.cosine(rate, setting.epochs) for view, rate in rates.items()}
    optimizer = bep.Adam(falling, bounds={s_in.delay: (0 * ms, 40 * ms)})
    callbacks = [bep.LiftSilent({s_in.w: 0.05})]
    if rewired:  # every weight shrinks a little in each step, so the useless ones reach zero
        callbacks.append(
            bep.DeepR(s_in.w, s_in.delay, range=DELAYS, initial=0.5, l1=setting.l1, seed=1)
        )
    trainer = bep.Trainer(model, optimizer, callbacks)
    history = trainer.fit(
        bep.datasets.yin_yang("train", size=setting.size),
        setting.epochs,
        batch_size=50,
        validation=bep.datasets.yin_yang("validation"),
        early_stopping=bep.EarlyStopping(setting.epochs, "val_accuracy"),
        progress=False,
    )
    accuracy = trainer.evaluate(bep.datasets.yin_yang("test"))["accuracy"]
    model.write_back()
    return accuracy, history, s_in


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--size", type=int, default=2000, help="training trials")
    parser.add_argument("--hidden", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--l1", type=float, default=0.1)
    parser.add_argument("--figure", default="rewiring.png")
    setting = parser.parse_args()
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.4), layout="constrained")
    print("rewiring  gradient of delays  test accuracy  synapses moved")
    for rewired in (False, True):
        for learned in (False, True):
            accuracy, history, s_in = train(rewired, learned, setting)
            column = f"rewired({s_in.name})"
            moved = int(history[column].sum()) if rewired else 0
            words = ["no", "yes"]
            print(f"{words[rewired]:8}  {words[learned]:18}  {accuracy:13.1%}  {moved:14}")
            label = {
                (False, False): "weights only",
                (False, True): "gradient",
                (True, False): "rewiring",
                (True, True): "both",
            }[rewired, learned]
            axes[0].plot(history["val_accuracy"], label=label)
            axes[1].hist(s_in.delay / ms, np.arange(0, 41, 2), histtype="step", label=label)
            if rewired:
                axes[2].plot(history[column], label=label)
    axes[0].set(xlabel="epoch", ylabel="validation accuracy")
    axes[1].set(xlabel="delay in the end (ms)", ylabel="synapses")
    axes[2].set(xlabel="epoch", ylabel="synapses moved")
    for ax in axes:
        ax.legend(frameon=False)
    figure.savefig(setting.figure, dpi=110)


if __name__ == "__main__":
    main()
