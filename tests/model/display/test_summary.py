"""What one sees of a model, a result and gradients: short, whatever their size."""

from importlib.metadata import PackageNotFoundError, version

import numpy as np
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, ms, start_scope

import brian_eventprop as bep


def made(n=200):
    start_scope()
    source = SpikeGeneratorGroup(n, range(n), np.linspace(1, 5, n) * ms, name="source")
    cells = NeuronGroup(
        n, "dv/dt = -v/tau : 1", threshold="v > 1", reset="v = 0", method="exact", name="cells"
    )
    s = Synapses(source, cells, "w : 1", on_pre="v_post += w", name="s")
    s.connect(j="i")
    s.w, s.delay = 0.7, np.linspace(1, 3, n) * ms
    return bep.EventPropModel(
        [source, cells, s], train=[bep.Expression(s.w, "k", k=0.7), s.delay, "tau"],
        loss=bep.Sum(bep.Final(cells, "v")), duration=10 * ms, backend="interpreter",
        namespace={"tau": 10 * ms},
    )  # fmt: skip


def test_a_summary_has_groups_projections_and_trained_variables():
    text = str(made().summary())
    assert "solver='clock', backend='interpreter', 202 trained values" in text
    for line in (
        r"source  200      -       given",
        r"cells   200      v       v > 1",
        r"s_pre       source → cells  200       1. ms to 3. ms",
        r"s.delay  200       1. ms to 3. ms",
        r"s.w      computed  k",
    ):
        assert line in text, text
    html = made()._repr_html_()
    assert html.count("<table>") == 3 and "source → cells" in html and "v &gt; 1" in html


def test_what_is_returned_prints_in_one_line():
    model = made()
    result = model.run()
    assert repr(result).startswith("Result(loss ") and "Spikes(cells: 0)" in repr(result)
    assert "readouts (1, 200)" in repr(result)
    gradients = model.gradient()
    assert "k: norm " in repr(gradients) and "0 spikes graze" in repr(gradients)
    for thing in (result, gradients, model, model.parameters, result.spikes):
        assert len(repr(thing)) < 300 and "\n" not in repr(thing)


def test_the_front_door_shows_what_is_public():
    try:
        expected = version("brian-eventprop")
    except PackageNotFoundError:
        expected = "unknown"
    assert bep.__version__ == expected
    assert "EventPropModel" in dir(bep) and "reading" not in dir(bep)
    assert all(hasattr(bep, name) for name in dir(bep))
