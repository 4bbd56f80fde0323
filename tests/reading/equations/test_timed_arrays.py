"""Which column of a timed array a neuron reads: any whole-numbered expression of its constants."""

import numpy as np
import pytest
from brian2 import Network, NeuronGroup, StateMonitor, TimedArray, ms

import brian_eventprop as bep
from brian_eventprop.errors import UnsupportedError
from brian_eventprop.reading import read_network
from brian_eventprop.runtime.timed_inputs import columns, timed_values_of

VALUES = np.arange(12.0).reshape(3, 4)
NAMES = {"ta": TimedArray(VALUES, dt=1 * ms), "n_traces": 2, "three": 3}
PARAMETERS = """
channel : integer (constant)
same : integer (shared)
x : 1
choice = i % n_traces : integer
"""


def group_of(rhs, method="euler", reads=()):
    lines = [f"read{k} = {text} : 1" for k, text in enumerate(reads)]
    equations = "\n".join([f"dv/dt = ({rhs} - v)/ms : 1", *lines])
    G = NeuronGroup(6, equations + PARAMETERS, method=method)
    G.channel, G.same, G.x = [0, 1, 2, 3, 1, 0], 2, [0.5, 1.5, 2.9, 3, 0, 1]
    return G


COLUMNS = [
    "i % 2",
    "i % n_traces",
    "i // 2",
    "(i + 1) % N // 2",
    "int(i > 1)",
    "int(i > 1) + 2*int(i % 2 == 0)",
    "n_traces*(i % 2) + 1",
    "abs(i - three)",
    "clip(i, 0, 3)",
    "channel",
    "(channel + same) % 4",
    "same",
    "choice",
    "choice + same*int(channel > 0)",
    "int(x)",
]


@pytest.mark.parametrize("method", ["euler", "rk4", "exponential_euler"])
def test_columns_are_those_of_brian2(method):
    """Brian2 itself cannot take integer subexpressions into methods of several stages."""
    chosen = COLUMNS if method == "euler" else COLUMNS[1:6]
    calls = [f"ta(t, {column})" for column in chosen]
    terms = " + ".join(f"{k + 1}*{call}" for k, call in enumerate(calls))
    G = group_of(terms, method, calls)
    spec, values = read_network([G], [], NAMES)
    monitor = StateMonitor(G, [f"read{k}" for k in range(len(calls))], record=True)
    Network(G, monitor).run(0.1 * ms, namespace=NAMES)
    expected = {tuple(getattr(monitor, f"read{k}")[:, 0]) for k in range(len(calls))}
    timed_values = timed_values_of(spec.groups[0], [])
    found = [VALUES[0, columns(spec.groups[0], t, values.values, 4)] for t in timed_values]
    assert {tuple(row) for row in found} == expected
    assert len(expected) >= len(calls) - 3


def test_every_column_has_a_name_of_its_own():
    """Also where only the operator differs, and where a parameter has such a name."""
    G = NeuronGroup(
        4,
        "dv/dt = (ta(t, i % 2) + 10*ta(t, i // 2) + 100*ta(t, 4*i % 2) + ta_i_2 - v)/ms : 1\n"
        "ta_i_2 : 1",
        method="euler",
        name="G",
    )
    spec, values = read_network([G], [bep.Integral(G, "ta(t, i * 2 % 4)")], NAMES)
    group = spec.groups[0]
    found = timed_values_of(group, spec.readouts)
    assert len({timed_value.name for timed_value in found}) == len(found) >= 4
    assert group.symbols["ta_i_2"].kind == "neuron"
    by_text = {t.column: columns(group, t, values.values, 4).tolist() for t in found}
    assert by_text["i % 2"] == [0, 1, 0, 1] and by_text["i // 2"] == [0, 0, 1, 1]
    assert by_text["i * 2 % 4"] == [0, 2, 0, 2]


@pytest.mark.parametrize("column", ["int(v)", "int(t/ms)"])
def test_columns_that_change(column):
    with pytest.raises(UnsupportedError, match="must depend on constants"):
        read_network([group_of(f"ta(t, {column})")], [], NAMES)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("i / 2", "no whole numbers"),
        ("i > 1", "no whole numbers"),
        ("x", "no whole numbers"),
        ("i - 1", "columns -1 to 4, but the array has 4"),
        ("i", "columns 0 to 5, but"),
    ],
)
def test_columns_that_the_array_does_not_have(column, message):
    spec, values = read_network([group_of(f"ta(t, {column})")], [], NAMES)
    with pytest.raises(ValueError, match=message):
        columns(spec.groups[0], spec.groups[0].timed_values[0], values.values, 4)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_columns_that_are_no_numbers(bad):
    G = group_of("ta(t, x)")
    G.x[2] = bad
    spec, values = read_network([G], [], NAMES)
    with pytest.raises(ValueError, match=r"'ta\(t, x\)'"):
        columns(spec.groups[0], spec.groups[0].timed_values[0], values.values, 4)
