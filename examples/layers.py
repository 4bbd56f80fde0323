"""One hidden layer of LIF neurons, with or without recurrence and delays: what braille.py and
digits.py train.

The network of Mészáros, Knight and Nowotny (2025): input to hidden and hidden to hidden have
delays, hidden to output has none, the class is the output with the largest time-weighted integral.
The three ways to treat delays are the control that tells whether learning them pays: ``none`` (all
zero), ``fixed`` (random, never changed) and ``learned`` (from the same random values).
"""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from brian2 import *
from experiment import combinations, n_parameters, run_all

import brian_eventprop as bep
from brian_eventprop import plotting

prefs.codegen.target = "numpy"

LIF = """dv/dt = (I - v)/tau_m : 1
         dI/dt = -I/tau_s : 1"""


class Layers:
    """The Brian2 objects of a network, and what of them is trained at which rate.

    Parameters
    ----------
    n_inputs, n_outputs : int
    setting : argparse.Namespace
        The options of `add_options`.
    delays : {'none', 'fixed', 'learned'}
    recurrent : bool
    fan_in : int
        Synapses per hidden neuron of each projection, drawn at random; 0 connects all.
    seed : int
        Of weights, delays and connections.
    """

    def __init__(self, n_inputs, n_outputs, setting, delays, recurrent, fan_in, seed):
        start_scope()
        defaultclock.dt = setting.dt * ms
        self.random, self.setting, self.delays = np.random.default_rng(seed), setting, delays
        self.inputs = SpikeGeneratorGroup(n_inputs, [], [] * ms)
        self.hidden = NeuronGroup(
            setting.hidden, LIF, threshold="v > 1", reset="v = 0", method="exact"
        )
        self.output = NeuronGroup(n_outputs, LIF, method="exact")
        self.rates, self.delayed = {}, []
        mean, spread = setting.input_weights
        self.s_in = self.project(self.inputs, self.hidden, mean, spread, fan_in, True)
        self.synapses = [self.s_in]
        if recurrent:
            spread = setting.recurrent_weight
            rate = setting.recurrent_rate
            s_rec = self.project(self.hidden, self.hidden, 0, spread, fan_in, True, rate)
            self.synapses.append(s_rec)
        spread = setting.output_weight
        self.synapses.append(self.project(self.hidden, self.output, 0, spread))

    def project(self, source, target, mean, spread, fan_in=0, delayed=False, rate=None):
        """Connect two groups; weights are normal, of the same total drive whatever the fan-in."""
        synapses = Synapses(source, target, "w : 1", on_pre="I_post += w")
        fan_in = min(fan_in or source.N, source.N)
        pre = [self.random.permutation(source.N)[:fan_in] for _ in range(target.N)]
        synapses.connect(i=np.concatenate(pre), j=np.repeat(np.arange(target.N), fan_in))
        sparse = source.N / fan_in
        size = len(synapses)
        synapses.w = self.random.normal(mean * sparse, spread * np.sqrt(sparse), size)
        self.rates[synapses.w] = (rate or self.setting.rate) * np.sqrt(sparse)
        # Drawn in any case, so that a seed means the same weights with and without delays.
        drawn = self.random.uniform(0, self.setting.max_delay, size)
        if delayed and self.delays != "none":
            synapses.delay = drawn * ms
            if self.delays == "learned":
                self.rates[synapses.delay] = self.setting.delay_rate * ms
                self.delayed.append((synapses.delay, drawn * ms))
        return synapses

    def model(self, duration):
        """Return the network as a model."""
        measured = bep.Integral(self.output, "v*exp(-t/T)")
        setting = self.setting
        loss = bep.CrossEntropy(measured, scale=setting.scale / (duration / second))
        if setting.penalty:
            low, high = setting.spikes
            loss += bep.FiringRate(self.hidden, lower=low, upper=high, strength=setting.penalty)
        return bep.EventPropModel(
            [self.inputs, self.hidden, self.output, *self.synapses],
            train=list(self.rates),
            loss=loss,
            duration=duration,
            precision="float32",
            threads=1,
            namespace={"tau_m": setting.tau_m * ms, "tau_s": setting.tau_s * ms},
        )


class Dropout(bep.Callback):
    """In every batch, others of the sending neurons are not heard: their weights are zero.

    What the others send counts more, so that the drive stays the same on average.  Validation and
    test are with all neurons.  The optimiser's steps apply to all weights, heard or not.

    Parameters
    ----------
    synapses : list of Synapses
        All synapses of these neurons.
    part : float
        Part of the neurons that is not heard.
    seed : int
        Together with the epoch and the number of the batch it tells which.
    """

    def __init__(self, synapses, part, seed):
        self.senders = [(s, np.array(s.i)) for s in synapses]
        self.n_neurons = synapses[0].source.N
        self.part, self.seed = part, seed

    def on_train_begin(self, trainer, epochs, batches):
        self.batches = batches

    def on_epoch_begin(self, trainer, epoch):
        self.silence(trainer, epoch, 0)

    def on_batch_end(self, trainer, batch, result):
        for synapses, change in self.changes:
            trainer.model.parameters[synapses.w] -= change
        if batch + 1 < self.batches:
            self.silence(trainer, trainer.epoch, batch + 1)

    def silence(self, trainer, epoch, batch):
        random = np.random.default_rng([self.seed, epoch, batch])
        factors = (random.random(self.n_neurons) >= self.part) / (1 - self.part)
        self.changes = []
        for synapses, sender in self.senders:
            weights = np.asarray(trainer.model.parameters[synapses.w])
            change = weights * (factors[sender] - 1)
            trainer.model.parameters[synapses.w] = weights + change
            self.changes.append((synapses, change))


#: What the parts of the data are for; the network is tested with all others as well.
USES = ("varied", "train", "validation", "test")


def train(data, setting, delays, recurrent, fan_in, seed, augment=None, figure=None):
    """Train one network on a dict of train, validation and test data; return what is reported.

    Validation data choose the epoch; without any (None) the last one is kept.  Augmentations get
    the trials "varied", where there are any, and make trials like those of "train" of them.
    """
    n_outputs = int(np.max(data["train"].targets)) + 1
    layers = Layers(data["train"].n_channels, n_outputs, setting, delays, recurrent, fan_in, seed)
    model = layers.model(data["train"].duration)
    epochs = setting.epochs
    rates = {view: bep.schedules.cosine(r, epochs, 0.02) for view, r in layers.rates.items()}
    limit = setting.largest_delay * ms
    bounds = {view: (0 * ms, limit) for view, _ in layers.delayed}
    callbacks = [bep.LiftSilent({layers.s_in.w: setting.lift})]
    if setting.dropout:
        callbacks.append(Dropout(layers.synapses[1:], setting.dropout, seed))
    optimizer = bep.Adam(rates, beta2=setting.beta2, bounds=bounds)
    trainer = bep.Trainer(model, optimizer, callbacks)
    validation = data["validation"]
    history = trainer.fit(
        data.get("varied", data["train"]),
        epochs=epochs,
        batch_size=setting.batch_size,
        validation=validation,
        seed=seed,
        early_stopping=validation and bep.EarlyStopping(patience=epochs, monitor="val_accuracy"),
        augment=augment,
        progress=setting.progress,
    )
    # the epoch whose parameters are back
    best = int(np.argmax(history["val_accuracy"])) if validation else epochs - 1
    result = model.run((validation or data["train"])[:256])
    fired = result.spikes[layers.hidden].i
    if figure:
        picture(figure, history, model, layers, result)
    controls = {name: part for name, part in data.items() if name not in USES}
    return {
        "test_accuracy": trainer.evaluate(data["test"])["accuracy"],
        **{f"{name}_accuracy": trainer.evaluate(p)["accuracy"] for name, p in controls.items()},
        "validation_accuracy": float(history["val_accuracy"][best]) if validation else None,
        "train_accuracy": float(history["accuracy"][best]),
        "best_epoch": best,
        "parameters": n_parameters(model),
        "epoch_seconds": round(float(np.median(history["seconds"])), 2),
        "hidden_spikes": len(result.spikes[layers.hidden]) / len(result.losses) / setting.hidden,
        "silent": float(np.mean(np.bincount(fired, minlength=setting.hidden) == 0)),
    }


def picture(path, history, model, layers, result):
    """Draw the learning curves, the hidden spikes of a trial, and the learned delays."""
    rows = 1 + len(layers.delayed)
    figure, axes = plt.subplots(
        rows, 3, figsize=(12, 3.4 * rows), layout="constrained", squeeze=False
    )
    plotting.learning_curves(history, axes[0, :2])
    plotting.raster(result.spikes[layers.hidden], axes=axes[0, 2], s=6)
    for row, (delays, before) in zip(axes[1:], layers.delayed, strict=True):
        plotting.delays(before, model.parameters[delays], row[:2])
        row[2].axis("off")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def add_options(parser, **defaults):
    """Add the options that both tasks share; `defaults` are those of the task."""
    add = parser.add_argument
    add("--delays", nargs="+", default=["learned"], choices=["none", "fixed", "learned"])
    add("--layer", nargs="+", default=["recurrent"], choices=["forward", "recurrent"])
    add("--fan-in", type=int, nargs="+", default=[0], help="synapses per hidden neuron; 0: all")
    add("--seeds", type=int, nargs="+", default=[0])
    add("--hidden", type=int)
    add("--epochs", type=int)
    add("--batch-size", type=int)
    add("--rate", type=float, help="learning rate of the weights")
    add("--recurrent-rate", type=float, help="learning rate of the recurrent weights")
    add("--delay-rate", type=float, help="learning rate of the delays, ms")
    add("--beta2", type=float, default=0.999, help="Adam's memory of squared gradients")
    add("--max-delay", type=float, help="largest delay at the start, ms")
    add("--largest-delay", type=float, help="largest delay during the training, ms")
    add("--dt", type=float, help="time step, ms")
    add("--duration", type=float, help="of a trial, ms")
    add("--tau-m", type=float, help="ms")
    add("--tau-s", type=float, help="ms")
    add("--scale", type=float, help="factor on the time-averaged readout before the softmax")
    add("--input-weights", type=float, nargs=2, help="mean and spread at the start")
    add("--recurrent-weight", type=float, help="spread at the start")
    add("--output-weight", type=float, help="spread at the start")
    add("--spikes", type=float, nargs=2, default=[0, 14], help="wanted per hidden neuron and trial")
    add("--penalty", type=float, default=0, help="on numbers of spikes out of this range")
    add("--dropout", type=float, default=0, help="part of the hidden neurons unheard in a batch")
    add("--lift", type=float, help="added to the input weights of a neuron silent for an epoch")
    add("--results", help="file that gets one line of JSON per run")
    add("--figure", help="picture of the last network that was trained")
    add("--progress", action="store_true")
    parser.set_defaults(**defaults)


#: Options that choose runs or files, and are no settings of a run.
CHOICES = ("path", "delays", "layer", "fan_in", "seeds", "results", "figure", "progress")


def run_series(data, setting, augment=None):
    """Train every chosen combination."""
    fixed = {name: value for name, value in vars(setting).items() if name not in CHOICES}

    def train_one(layer, fan_in, delays, seed, **_):
        recurrent = layer == "recurrent"
        return train(data, setting, delays, recurrent, fan_in, seed, augment, setting.figure)

    configurations = combinations(
        **{name: [value] for name, value in fixed.items()},
        seed=setting.seeds,
        layer=setting.layer,
        fan_in=setting.fan_in,
        delays=setting.delays,
    )
    run_all(configurations, train_one, setting.results)
