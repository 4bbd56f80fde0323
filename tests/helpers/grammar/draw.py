"""Random choices, and the pieces of a script that they make."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


class Draw:
    """A random generator that also remembers what was chosen, as tags."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.tags: list[str] = []

    def chance(self, probability: float) -> bool:
        """Return True with this probability."""
        return bool(self.rng.random() < probability)

    def pick(self, options, weights=None):
        """Return one of the options."""
        options = list(options)
        weights = None if weights is None else np.array(weights) / np.sum(weights)
        return options[int(self.rng.choice(len(options), p=weights))]

    def some(self, options, most: int) -> list:
        """Return up to ``most`` of the options, in their order."""
        options = list(options)
        chosen = self.rng.permutation(len(options))[:most]
        return [options[k] for k in sorted(chosen)]

    def number(self, low: float, high: float) -> str:
        """Return a number with four digits, as text."""
        return f"{self.rng.uniform(low, high):.4g}"

    def numbers(self, low: float, high: float, count: int) -> str:
        """Return a list of numbers, as text."""
        return "[" + ", ".join(self.number(low, high) for _ in range(count)) + "]"

    def tag(self, text: str) -> None:
        """Note what the network has."""
        if text not in self.tags:
            self.tags.append(text)


@dataclass(frozen=True)
class Port:
    """A state that synapses may change, and by how much a lively synapse changes it."""

    variable: str
    unit: str
    low: float
    high: float
    kind: str = "current"


@dataclass
class Cell:
    """A group of neurons, as text.

    Attributes
    ----------
    name, size
        Of the group.
    equations : list of str
    threshold, reset, refractory : str
        Empty if there is none.
    methods : tuple of str
        Integration methods that suit the equations.
    settings : list of str
        Lines of the script after the group is made.
    constants : dict
        External constants and timed arrays: name to text.
    ports : list of Port
    observables : list of str
        Expressions without unit that a readout may measure, of the order of 1.
    trainable : list of str
        What may be trained, as text.
    visible : list of str
        States and parameters without unit that synapses may read as ``x_pre``.
    slow : bool
        Whether the model takes long to simulate, so that the trial should be short.
    """

    name: str
    size: int
    equations: list[str] = field(default_factory=list)
    threshold: str = ""
    reset: str = ""
    refractory: str = ""
    methods: tuple[str, ...] = ("euler", "rk2", "rk4", "heun")
    settings: list[str] = field(default_factory=list)
    constants: dict[str, str] = field(default_factory=dict)
    ports: list[Port] = field(default_factory=list)
    observables: list[str] = field(default_factory=list)
    trainable: list[str] = field(default_factory=list)
    visible: list[str] = field(default_factory=list)
    slow: bool = False

    @property
    def spikes(self) -> bool:
        """Whether the neurons have a threshold."""
        return bool(self.threshold)

    def parameter(self, draw: Draw, name: str, low, high, unit: str = "1", factor: str = ""):
        """Declare a parameter: per neuron, shared, or an external constant; return its name."""
        times = f"*{factor}" if factor else ""
        dimension = {"1": "1", "ms": "second", "mV": "volt"}.get(unit, unit)
        times = times or ("" if unit == "1" else f"*{unit}")
        form = draw.pick(("per neuron", "constant", "shared", "external"), (2, 2, 2, 3))
        if form == "external":
            name = f"{name}_{self.name}"
            self.constants[name] = f"{draw.number(low, high)}{times}"
            self.trainable.append(f"'{name}'")
            return name
        if dimension == "1":
            self.visible.append(name)
        flags = {"per neuron": "", "constant": " (constant)", "shared": " (constant, shared)"}[form]
        self.equations.append(f"{name} : {dimension}{flags}")
        value = draw.number(low, high) if form == "shared" else draw.numbers(low, high, self.size)
        self.settings.append(f"{self.name}.{name} = {value}{times}")
        self.trainable.append(f"{self.name}.{name}")
        return name

    def initial(self, draw: Draw, name: str, low, high, unit: str = "1", zero: float = 0.3):
        """Set the initial values of a state, or leave them at 0; they may be trained."""
        times = "" if unit == "1" else f"*{unit}"
        if draw.chance(zero) and low <= 0 <= high:
            self.trainable.append(f"{self.name}.{name}")
            return
        self.settings.append(f"{self.name}.{name} = {draw.numbers(low, high, self.size)}{times}")
        self.trainable.append(f"{self.name}.{name}")

    def lines(self, method: str) -> list[str]:
        """Return the lines of the script that make the group."""
        model = "\n    ".join(self.equations)
        options = "".join(
            f", {key}={value!r}" if not value.endswith("*ms") or key != "refractory"
            else f", {key}={value}"
            for key, value in (
                ("threshold", self.threshold), ("reset", self.reset),
                ("refractory", self.refractory),
            )
            if value
        )  # fmt: skip
        made = (
            f"{self.name} = NeuronGroup({self.size}, '''\n    {model}'''{options}, "
            f"method='{method}', name='{self.name}')"
        )
        return [made, *self.settings]
