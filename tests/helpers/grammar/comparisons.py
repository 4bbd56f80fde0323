"""What is compared on a network, and the verdict.

A verdict is a word or two, then a colon and details: ``agrees``, ``refused``, ``stopped`` (an error
of the run that says why), ``no derivative``, ``undecided`` (the differences themselves are too
inexact), or ``FAILED``.
"""

from __future__ import annotations

import contextlib
import logging
import re
import time
import traceback
from collections.abc import Mapping

import numpy as np
from brian2 import Network, NeuronGroup, SpikeGeneratorGroup, SpikeMonitor, second

import brian_eventprop as bep
from brian_eventprop.errors import UnsupportedError

from .coincidences import too_close
from .differences import differentiate

#: Largest relative error of a gradient in exact time.
EXACT = 1e-5


class TimeLimit(BaseException):
    """A network takes too long; no ``except Exception`` of Brian2 catches this."""


#: Time steps (ms) of the comparison of the two solvers.
TIME_STEPS = (0.1, 0.025, 0.00625, 0.0015625)
#: Those where these do not decide: only the last of them may have the events in the right order.
FINER = (*TIME_STEPS[1:], TIME_STEPS[-1] / 4)

#: A gradient on the time grid this close to the exact one is right whatever the convergence.
CLOSE = 2e-3


def judge(script, found: dict | None = None) -> dict:
    """Make all comparisons; return (and fill) a dict of verdicts that can be written as JSON."""
    began = time.process_time()
    found = {} if found is None else found
    found |= {"seed": script.seed, "tags": list(script.tags)}
    names: dict = {}
    _attempt(found, "clock", names, lambda: _clock_gradient(script.text, names))
    try:
        with logged():
            scope = names.get("scope") or _execute(script.text, TIME_STEPS[0])
            reference = brian_spikes(scope)
    except Exception as error:
        return found | {"brian2": f"Brian2 fails: {_short(error)}"}
    found["spikes in Brian2"] = int(sum(len(i) for i, _ in reference.values()))
    if not _finite_states(scope):
        return found | {"clock": "Brian2's own values are not finite"}
    if "result" in names:
        found["spikes"] = _same_spikes(names["result"], reference)
    _attempt(found, "event", names, lambda: _exact_gradient(script.text, names))
    if "exact" in names and "clock gradient" in names:
        with logged():
            found["convergence"] = _converges(script.text, names)
            if found["convergence"].startswith("FAILED"):
                found["convergence"] = _converges(script.text, names, FINER)
    found["seconds"] = round(time.process_time() - began, 2)
    return found


def failures(found: dict) -> dict[str, str]:
    """Return the verdicts that are failures."""
    return {k: v for k, v in found.items() if isinstance(v, str) and v.startswith("FAILED")}


# ---------------------------------------------------------------------------- models
def _execute(text: str, dt: float) -> dict:
    scope: dict = {"DT": dt}
    exec("from brian2 import *\nimport brian_eventprop as bep", scope)
    exec(compile(text, "<drawn network>", "exec"), scope)
    return scope


def build(text: str, solver: str, dt: float = 0.1):
    """Return the model of a script, and the script's names.

    What is drawn for training may have no influence on what is drawn as the loss; the model refuses
    that by name, and it is left out.
    """
    left_out = _LEFT_OUT.setdefault(text, set())
    while True:
        scope = _execute(text, dt)
        try:
            model = bep.EventPropModel(
                scope["network"],
                train=[item for item in scope["train"] if _label(item) not in left_out],
                loss=scope["loss"],
                duration=scope["duration"],
                namespace=scope["constants"],
                solver=solver,
                threads=1,
            )
            return model, scope
        except ValueError as error:
            refused = _WITHOUT_INFLUENCE.match(str(error))
            if refused is None or refused[1] in left_out:
                raise
            left_out.add(refused[1])


_LEFT_OUT: dict[str, set[str]] = {}
_WITHOUT_INFLUENCE = re.compile(
    r"(?:No external constant )?'([^']*)' is "
    r"(?:in train=\[...\] but (?:cannot influence|influences nothing)|used in the network)"
)


def _label(item) -> str:
    """The name by which a message calls what is trained."""
    item = getattr(item, "delays", item)
    return item if isinstance(item, str) else f"{item.group_name}.{item.name}"


def brian_spikes(scope: dict) -> dict:
    """Run Brian2 itself; return neurons and time steps of the spikes of each group."""
    groups = [g for g in scope["network"] if getattr(g, "thresholder", None)]
    monitors = {g.name: SpikeMonitor(g, name=f"spikes_{g.name}") for g in groups}
    network = Network(scope["network"], *monitors.values())
    network.run(scope["duration"], namespace=scope["constants"])
    dt = float(scope["DT"]) * 1e-3
    return {
        name: (np.array(m.i), np.rint(np.array(m.t / second) / dt).astype(int))
        for name, m in monitors.items()
    }


def _finite_states(scope: dict) -> bool:
    """Whether all states are finite at the end of Brian2's run: steep equations may overflow."""
    groups = [g for g in scope["network"] if isinstance(g, NeuronGroup)]
    return all(
        np.all(np.isfinite(np.asarray(g.variables[s].get_value())))
        for g in groups
        for s in g.equations.diff_eq_names
    )


@contextlib.contextmanager
def logged():
    """Collect what Brian2 and the package log, and print nothing of it."""
    messages: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: messages.append(record.getMessage())
    logger = logging.getLogger("brian2")
    usual, logger.handlers = logger.handlers, [handler]
    try:
        yield messages
    finally:
        logger.handlers = usual


def _attempt(found: dict, name: str, names: dict, function) -> None:
    """Enter the verdict of a function, or what kept it from one."""
    try:
        with logged() as messages:
            found[name] = function()
        names[f"{name} warnings"] = " ".join(messages)
    except UnsupportedError as error:
        found[name] = f"refused: {_short(error)}"
    except (FloatingPointError, ValueError) as error:
        text = f"{type(error).__name__} {_short(error)}"
        if "train=[...] is empty" in text:
            found[name] = "nothing that is trained influences the loss"
        elif text.startswith("FloatingPointError The gradient of"):
            found[name] = f"FAILED: not finite: {_short(error)}"
        else:
            told = len(str(error)) > 60  # a sentence
            found[name] = f"{'stopped' if told else 'FAILED'}: {text}"
    except Exception as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{at.filename.rpartition('/')[2]}:{at.lineno}"
        found[name] = f"FAILED: raises {type(error).__name__} {_short(error)} ({place})"


def _short(error) -> str:
    return " ".join(str(error).split())[:300]


# ---------------------------------------------------------------------------- exact time
def _exact_gradient(text: str, names: dict) -> str:
    """Compare the gradient in exact time with differences, array by array."""
    model, scope = build(text, "event")
    targets = scope["targets"]
    result = model.run(targets=targets)
    gradients = model.gradient()
    arrays = {key: np.array(gradients.raw(key)) for key in model.parameters.keys}
    inputs = _of_inputs(gradients, scope)
    names["exact"], names["exact result"], names["exact scope"] = arrays, result, scope
    names["exact spikes"] = _pattern(result)
    names["exact loss"], names["exact grazing"] = result.loss, gradients.grazing
    bad = _not_finite(arrays | inputs)
    if bad or not np.isfinite(result.loss):
        del names["exact"]
        return f"FAILED: not finite: {', '.join(bad) or 'the loss'}"
    rng = np.random.default_rng(0)
    base = result.loss, _pattern(result)
    verdicts = {
        names_of(key): _along_a_direction(model, targets, base, key, array, rng)
        for key, array in arrays.items()
    }
    for (name, _), gradient in inputs.items():
        verdicts[name] = _along_input_times(model, scope, base, name, gradient, rng)
    names["exact verdicts"] = verdicts
    return _summary(verdicts, gradients.grazing)


def _summary(verdicts: dict, grazing: int) -> str:
    for kind in ("FAILED", "no derivative", "undecided"):
        some = {k: v for k, v in verdicts.items() if v.startswith(kind)}
        if some:
            if kind == "FAILED" and grazing:
                kind = "no derivative: grazing"
            details = "; ".join(f"{k} {v.partition(': ')[2]}" for k, v in some.items())
            return f"{kind}: {details}"
    return "agrees"


def _pattern(result) -> np.ndarray:
    """How often each neuron of each group spikes."""
    counts = [np.bincount(s.i, minlength=8)[:8] for s in result.spikes.values()]
    return np.concatenate(counts) if counts else np.zeros(0)


def _not_finite(arrays: dict) -> list[str]:
    return [names_of(key) for key, array in arrays.items() if not np.all(np.isfinite(array))]


def _along_a_direction(model, targets, base, key, array, rng) -> str:
    kept = model.parameters.raw(key).copy()
    size = np.abs(kept).max(initial=0.0)
    if size == 0:
        size = _size_of_zero(model, key, array)
    direction = rng.choice([-1.0, 1.0], kept.shape) * rng.uniform(0.5, 1.0, kept.shape) * size
    if key[1] == "delay" and np.any(kept <= 1e-3 * size):
        direction = np.where(kept > 1e-3 * size, direction, 0.0)  # a delay of 0 can only grow

    def loss_at(step):
        model.parameters.set_raw(key, kept + step * direction)
        result = model.run(targets=targets)
        return result.loss, _pattern(result)

    try:
        return _verdict(loss_at, base, array * direction)
    finally:
        model.parameters.set_raw(key, kept)


def names_of(key) -> str:
    """Return the name of a key for people."""
    return ".".join(filter(None, key))


def _size_of_zero(model, key, array) -> float:
    """A typical size of an array of zeros: what moves the loss by a tenth, or less."""
    steepest = np.abs(array).max(initial=0.0)
    usual = 1.0 if model.parameters.dimension(key).is_dimensionless else 1e-3
    return min(usual, 0.1 / steepest) if steepest > 0 else usual


def _of_inputs(gradients, scope: dict) -> dict:
    """The derivatives in the times of the input spikes, by the name of the input."""
    found = gradients.inputs
    if not isinstance(found, Mapping):
        names = [g.name for g in scope["network"] if isinstance(g, SpikeGeneratorGroup)]
        found = {names[0]: found}
    return {(name, "times"): np.asarray(array) for name, array in found.items()}


def _along_input_times(model, scope, base, name, gradient, rng) -> str:
    end = float(scope["duration"])
    given, kept = {}, {}
    for g in scope["network"]:
        if isinstance(g, SpikeGeneratorGroup):
            times, channels = np.asarray(g.spike_time[:]), np.asarray(g.neuron_index[:])
            kept[g.name] = early = times < end - 1e-4  # later ones do nothing and are refused
            trials = np.zeros(early.sum(), int)
            given[g.name] = bep.SpikeData(times[early], channels[early], trials, 1, len(g))
    if len(gradient) == len(kept[name]):
        gradient = gradient[kept[name]]
    data = given[name]
    direction = rng.uniform(-1, 1, len(data.times)) * 1e-2

    def loss_at(step):
        moved = bep.SpikeData(
            data.times + step * direction,
            data.channels,
            np.zeros(len(data.times), int),
            1,
            data.n_channels,
        )
        result = model.run(given | {name: moved}, scope["targets"])
        return result.loss, _pattern(result)

    return _verdict(loss_at, base, gradient * direction)


def _verdict(loss_at, base, parts) -> str:
    """Compare the sum of ``parts``, the derivative along a direction, with differences."""
    expected, scale = float(np.sum(parts)), float(np.sum(np.abs(parts)))
    try:
        found = differentiate(loss_at, base, expected, scale)
    except (FloatingPointError, ValueError) as error:
        return f"no derivative: {_short(error)}"
    if not np.isfinite(found.value):
        return "no derivative: the loss is not finite beside these values"
    scale, gap = max(scale, abs(found.value)), abs(found.value - expected)
    if gap <= EXACT * scale or gap < 1e-10 * max(1.0, abs(base[0])):
        return "agrees"
    values = f"{found.value:.6g} +- {found.error:.1g}, adjoint {expected:.6g}"
    if not found.same:
        return "no derivative: a spike appears or vanishes"
    if found.kink:
        return f"no derivative: kink, {values}"
    if gap <= 5 * found.error:
        return "agrees" if found.error < 1e-3 * scale else f"undecided: {values}"
    return f"FAILED: {values}"


# ---------------------------------------------------------------------------- the time grid
def _clock_gradient(text: str, names: dict) -> str:
    model, names["scope"] = build(text, "clock", TIME_STEPS[0])
    names["result"] = result = model.run(targets=names["scope"]["targets"])
    gradients = model.gradient()
    arrays = {key: np.array(gradients.raw(key)) for key in model.parameters.keys}
    bad = _not_finite(arrays | _of_inputs(gradients, names["scope"]))
    if bad or not np.isfinite(result.loss):
        return f"FAILED: not finite: {', '.join(bad) or 'the loss'}"
    names["clock gradient"] = model, result, gradients
    return "ran"


def _same_spikes(result, reference: dict, dt: float = 1e-4) -> str:
    for name, (neurons, steps) in reference.items():
        trains = result.spikes[name]
        mine = np.rint(np.asarray(trains.t / second) / dt).astype(int)
        ours = sorted(zip(mine.tolist(), trains.i.tolist(), strict=True))
        theirs = sorted(zip(steps.tolist(), neurons.tolist(), strict=True))
        if ours != theirs:
            return f"FAILED: {name}: Brian2 has {len(theirs)}, ours are {len(ours)}"
    return "agrees"


def _converges(text: str, names: dict, time_steps=TIME_STEPS) -> str:
    """Compare the gradients of the two solvers as the time step falls."""
    if "jumps where a condition changes" in names.get("clock warnings", ""):
        return "warned: a condition that jumps"
    errors: list = []
    gaps: list[float] = []
    same, grazing = True, 0
    for dt in time_steps:
        if dt == TIME_STEPS[0]:
            model, result, gradients = names["clock gradient"]
        else:
            model, scope = build(text, "clock", dt)
            result = model.run(targets=scope["targets"])
            gradients = model.gradient()
        if not np.isfinite(result.loss):
            return "the loss is not finite with a smaller time step"
        grazing += gradients.grazing
        same = np.array_equal(_pattern(result), names["exact spikes"])
        found = {k: np.array(gradients.raw(k)) for k in model.parameters.keys}
        gaps.append(abs(result.loss - names["exact loss"]) / (abs(names["exact loss"]) + 1e-9))
        errors.append(_relative_errors(model, result.loss, found, names["exact"]) if same else {})
        if not same and dt != time_steps[-1]:
            continue
        worst = [max(e.values(), default=np.nan) for e in errors]
        if same and _good(errors):
            return f"agrees: {', '.join(f'{x:.1e}' for x in worst)}"
    if not same or not errors[-2]:
        return "other spikes on the time grid"
    if gaps[-1] > 3e-4 and gaps[-1] > 0.45 * gaps[-2]:
        return f"other order of events on the time grid: {', '.join(f'{x:.1e}' for x in gaps)}"
    close = too_close(names["exact scope"], names["exact result"], result, time_steps[-1])
    if close:
        return f"arrival and spike too close for the time grid: {close}"
    culprits = [k for k in errors[-1] if not _good([{k: e[k]} if e else {} for e in errors])]
    details = "; ".join(
        f"{k} {', '.join(f'{e[k]:.1e}' if e else 'other spikes' for e in errors)}" for k in culprits
    )
    if grazing or names["exact grazing"]:
        return f"grazing: {details}"
    return f"FAILED: does not converge: {details}"


def _good(errors: list[dict]) -> bool:
    """Whether every array's error is tiny, or falls with the time step."""
    last = errors[-1]
    earlier = [e for e in errors[:-1] if e]
    for key, error in last.items():
        least = min([error, *(e[key] for e in earlier)])
        if error <= CLOSE or (error <= 5 * CLOSE and least <= CLOSE):
            continue
        if not earlier or not error < 0.45 * max(e[key] for e in earlier) or error > 0.2:
            return False
    return True


def _relative_errors(model, loss: float, found: dict, exact: dict) -> dict[str, float]:
    """Largest error of each array, relative to its largest entry.

    An array to which the loss is hardly sensitive, beside the others, is what is left where large
    contributions cancel: its error is seen relative to three hundredths of those of the others, or
    of the loss (a maximum may not depend on when it is reached, for instance).
    """
    sizes = {
        key: np.abs(model.parameters.raw(key)).max(initial=0.0) or _size_of_zero(model, key, array)
        for key, array in exact.items()
    }
    largest = {key: np.abs(array).max(initial=0.0) for key, array in exact.items()}
    top = max([abs(loss), *(largest[key] * sizes[key] for key in exact)])
    errors = {}
    for key, array in exact.items():
        gap = np.abs(found[key] - array).max(initial=0.0)
        scale = max(largest[key], 0.03 * top / sizes[key])
        errors[names_of(key)] = float(gap / scale) if scale > 1e-9 else float(gap > 1e-6)
    return errors


def reason_of(verdict: str) -> str:
    """Return a verdict without names and numbers, to count verdicts of one kind."""
    text = re.sub(r"'[^']*'", "'...'", verdict)
    text = re.sub(r"-?\d+(\.\d+)?(e[-+]?\d+)?", "#", text)
    return text[:150]
