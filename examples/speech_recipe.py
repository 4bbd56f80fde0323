"""The training recipe of Mészáros, Knight and Nowotny (2025) for spoken words: what shd.py and
ssc.py run.

LIF layers with delays on all synapses but those to the output, whose potential is integrated with
the weight exp(-t/T) and goes into a softmax; a penalty on firing rates that leave their target; an
eased-in learning rate, another one for delays; silent neurons are lifted; the epoch is chosen on
validation trials; the training is saved after every epoch and goes on where it was when the same
command is given again.
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from brian2 import *

import brian_eventprop as bep
from brian_eventprop import plotting

prefs.codegen.target = "numpy"

LIF = """dv/dt = (I - v)/tau_m : 1
         dI/dt = -I/tau_s : 1"""


class Layers:
    """The Brian2 objects, the model, and what is trained at which rate."""

    def __init__(self, n_inputs, n_classes, setting):
        seed(setting.seed)
        defaultclock.dt = setting.dt * ms
        spiking = dict(model=LIF, threshold="v > 1", reset="v = 0", method="exact")
        self.inputs = SpikeGeneratorGroup(n_inputs, [], [] * ms)
        self.hidden = [NeuronGroup(setting.hidden, **spiking) for _ in range(setting.layers)]
        self.output = NeuronGroup(n_classes, LIF, method="exact")
        self.rates, self.forward, self.synapses = {}, [], []
        # means and spreads of the weights, and largest delays at the start, as in the paper
        before, weights = self.inputs, "0.03 + 0.01*randn()"
        for layer in self.hidden:
            self.forward.append(self.connect(before, layer, weights, setting.delay, setting))
            if setting.recurrent:
                self.connect(layer, layer, "0.02*randn()", 0, setting)
            before, weights = layer, "0.02 + 0.03*randn()"
        self.connect(before, self.output, "0.03*randn()", None, setting)
        measured = bep.Integral(self.output, "v*exp(-t/T)")
        loss = bep.CrossEntropy(measured, scale=1e3 / setting.duration)  # the mean over the trial
        for layer in self.hidden:
            loss += bep.FiringRate(
                layer, lower=setting.spikes, upper=setting.spikes, strength=setting.penalty
            )
        self.model = bep.EventPropModel(
            [self.inputs, *self.hidden, self.output, *self.synapses],
            train=list(self.rates),
            loss=loss,
            duration=setting.duration * ms,
            precision="float32",
            namespace={"tau_m": 20 * ms, "tau_s": 5 * ms},
        )

    def connect(self, source, target, weights, longest, setting):
        """Connect all to all; without delays, and so none to learn, if `longest` is None."""
        synapses = Synapses(source, target, "w : 1", on_pre="I_post += w")
        synapses.connect()
        synapses.w = weights
        self.rates[synapses.w] = bep.schedules.ease_in(setting.rate)
        if longest is not None:
            synapses.delay = longest * np.random.rand(len(synapses)) * ms
            self.rates[synapses.delay] = setting.delay_rate * ms
        self.synapses.append(synapses)
        return synapses


def add_options(parser, **defaults):
    """Add the options that both data sets share; `defaults` are those of the data set."""
    add = parser.add_argument
    add("path", help="folder with the HDF5 files")
    add("--hidden", type=int, help="neurons per hidden layer")
    add("--layers", type=int, help="hidden layers")
    add("--feed-forward", dest="recurrent", action="store_false")
    add("--delay", type=float, help="largest delay from layer to layer at the start, ms")
    add("--epochs", type=int)
    add("--patience", type=int, help="epochs without improvement before the training stops")
    add("--batch-size", type=int)
    add("--rate", type=float, help="learning rate of the weights")
    add("--delay-rate", type=float, help="learning rate of the delays, ms")
    add("--spikes", type=float, help="wanted per hidden neuron and trial")
    add("--penalty", type=float, help="on other numbers of spikes, squared")
    add("--lift", type=float, help="added to the input weights of a neuron silent for an epoch")
    add("--shift", type=int, help="largest shift of a trial, in channels")
    add("--duration", type=float, help="of a trial, ms; what comes later is left out")
    add("--dt", type=float, help="time step, ms")
    add("--seed", type=int)
    add("--folder", type=Path, help="where the checkpoint, the log and the pictures go")
    parser.set_defaults(
        layers=1, recurrent=True, epochs=300, patience=15, batch_size=256, rate=1e-3,
        delay_rate=0.1, spikes=14, penalty=1e-5, lift=0.002, shift=40, duration=1000, dt=1, seed=0,
        **defaults,
    )  # fmt: skip


def read(setting, split):
    """Return one split on the time grid: at most one spike per channel and step."""
    data = bep.datasets.speech(setting.path, split, duration=setting.duration * ms)
    return data.on_grid(setting.dt * ms)


def train(data, setting, augment):
    """Train on a dict of train, validation and test data; print the test accuracy, draw."""
    setting.folder.mkdir(parents=True, exist_ok=True)
    n_classes = 1 + max(int(part.targets.max()) for part in data.values())
    network = Layers(data["train"].n_channels, n_classes, setting)
    checkpoint = bep.Checkpoint(setting.folder / "checkpoint.h5")
    trainer = bep.Trainer(
        network.model,
        bep.Adam(network.rates),
        [
            bep.LiftSilent({s.w: setting.lift for s in network.forward}),
            bep.GradientNorms(),
            bep.CSVLog(setting.folder / "log.csv"),
            checkpoint,
        ],
    )
    done = checkpoint.resume(trainer)
    history = trainer.fit(
        data["train"],
        setting.epochs - done,
        setting.batch_size,
        validation=data["validation"],
        seed=setting.seed,
        early_stopping=bep.EarlyStopping(setting.patience, "val_accuracy"),
        augment=augment,
    )
    test = data["test"]
    predicted = trainer.predict(test)
    print(f"best validation accuracy: {history['val_accuracy'].max():.2%}")
    print(f"test accuracy: {np.mean(predicted == test.targets):.2%} of {len(test)} trials")
    draw(history, predicted, test, network, setting.folder)
    return trainer


def draw(history, predicted, test, network, folder):
    """Draw the learning curves, the confusion matrix, hidden spikes and delays."""
    figure, axes = plt.subplots(2, 3, figsize=(14, 8), layout="constrained")
    plotting.learning_curves(history, axes[0, :2])
    plotting.confusion_matrix(test.targets, predicted, axes=axes[0, 2])
    result = network.model.run(test[:1])
    plotting.raster(result.spikes[network.hidden[0]], axes=axes[1, 0], s=4)
    before = network.forward[0].delay[:]  # the Brian2 objects still have what it began with
    after = network.model.parameters[network.forward[0].delay]
    plotting.delays(before, after, axes[1, 1:])
    figure.savefig(folder / "training.png", dpi=110)
