"""What a checkpoint must know of the model that it belongs to, and how two models differ.

The description is plain data: the network as read from Brian2, the shapes of what is trained, and
digests of all that is not trained (fixed values, who is connected to whom).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from types import SimpleNamespace

import numpy as np

from brian_eventprop.training.optimizers import name_of


def describe(model, optimizer) -> str:
    """Return what the course of a training depends on, as JSON; equal models give equal text."""
    parameters = model.parameters
    trained = {name_of(key): list(np.shape(parameters.raw(key))) for key in parameters.keys}
    content = {
        "network": _plain(model.spec),
        "trained": trained,
        "duration": float(getattr(model, "duration", 0.0)),
        "optimizer": _optimizer(optimizer),
        **_fixed(model),
    }
    return json.dumps(content, sort_keys=True)


def difference(here: str, there: str) -> str:
    """Return the first difference of two descriptions as a sentence, empty if there is none.

    Examples
    --------
    >>> difference('{"trained": {"s.w": [3]}}', '{"trained": {"s.w": [4]}}')
    'trained.s.w[0] is 3 here and 4 in the file'
    """
    return _difference(json.loads(here), json.loads(there), "")


def _difference(here, there, where: str) -> str:
    if isinstance(here, dict) and isinstance(there, dict):
        inner = ((f"{where}.{k}", here.get(k), there.get(k)) for k in sorted({**here, **there}))
    elif isinstance(here, list) and isinstance(there, list) and len(here) == len(there):
        inner = ((f"{where}[{i}]", *pair) for i, pair in enumerate(zip(here, there, strict=True)))
    elif repr(here) == repr(there):  # as text: NaN equals itself
        return ""
    else:
        return f"{where.lstrip('.')} is {here!r} here and {there!r} in the file"
    return next(filter(None, (_difference(a, b, name) for name, a, b in inner)), "")


def _plain(value):
    if dataclasses.is_dataclass(value):
        # Fields that do not take part in comparisons, and text for display, say nothing new.
        fields = [f.name for f in dataclasses.fields(value) if f.compare and f.name != "text"]
        return {name: _plain(getattr(value, name)) for name in fields}
    if isinstance(value, SimpleNamespace):
        return _plain(vars(value))
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (str, int, float)):
        return value
    return type(value).__name__


#: What moves on in an optimiser; the learning rates may be changed on purpose.
_MOVING = ("epoch", "steps", "scale", "gradient_norm")


def _optimizer(optimizer) -> dict:
    numbers = {k: v for k, v in vars(optimizer).items() if isinstance(v, (int, float))}
    kept = {name: float(v) for name, v in numbers.items() if name not in _MOVING}
    return {"kind": type(optimizer).__name__, **kept, **optimizer.options()}


def _fixed(model) -> dict:
    # as the script made it: what is rewired during the training stands in the checkpoint
    network = getattr(model, "_as_read", None)
    if network is None:
        return {}
    trained = {*model.parameters.keys, *model.expressions}
    values = {name_of(k): _digest(v) for k, v in model._values.items() if k not in trained}
    ends = {name: _digest(network.pre[name], network.post[name]) for name in network.pre}
    found = {"digest of fixed values": values, "digest of connections": ends}
    if model.expressions:
        found["expressions"] = {name_of(key): text for key, text in model.expressions.items()}
    return found


def _digest(*arrays) -> str:
    total = hashlib.sha256()
    for array in arrays:
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()[:16]
