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
        r"s_pre       source → cells  200       1 ms to 3 ms",
        r"s.delay  200       1 ms to 3 ms",
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


def test_a_notebook_shows_short_tables():
    model = made()
    result = model.run()
    gradients, history = model.gradient(), bep.training.History()
    for epoch in range(1000):
        history.append({"epoch": epoch, "loss": 1 / (epoch + 1)})
    for thing, part in (
        (result, "<td>cells</td><td>0</td>"),
        (result.spikes, "<td>cells</td><td>0</td>"),
        (gradients, "<th>zeros</th>"),
        (history, "<td>999</td><td>0.001</td>"),
        (
            bep.Trainer(model, bep.Adam({"k": 0.1, "s.delay": 1 * ms, "tau": 1 * ms})),
            "History: 0 epochs",
        ),
    ):
        html = thing._repr_html_()
        assert part in html and len(html) < 1500, html


def test_what_is_made_to_be_handed_over_says_what_it_was_made_with():
    cells = NeuronGroup(
        2, "dv/dt = -v/(10*ms) : 1", threshold="v > 1", method="exact", name="cells"
    )
    s = Synapses(cells, cells, "w : 1", on_pre="v_post += w", name="s")
    s.connect()
    entropy = bep.CrossEntropy(bep.Final(cells, "v"), scale=200)
    text = "CrossEntropy(Final(cells, 'v'), scale=200.0)"
    for thing, expected in (
        (entropy, text),
        (entropy + 0.5 * bep.Sum(bep.Final(cells, "v")), f"{text} + 0.5*Sum(Final(cells, 'v'))"),
        (bep.LiftSilent({"s.w": 0.1}), "LiftSilent("),
        (bep.EarlyStopping(3), "EarlyStopping(patience=3, min_delta=0.0, restore_best=True)"),
        (bep.Axonal(s.delay), "Axonal(s.delay)"),
    ):
        assert repr(thing).startswith(expected), repr(thing)
        assert " at 0x" not in repr(thing)


def test_spike_trains_say_how_many_and_when():
    from brian_eventprop.model.results import SpikeTrains

    trains = SpikeTrains(np.array([0, 0, 3]), np.array([1, 1, 7]), [1, 2, 40] * ms)
    assert repr(trains) == "SpikeTrains(3 spikes of 2 neurons in 2 trials, 1. ms to 40. ms)"
    assert repr(SpikeTrains(np.array([]), np.array([]), [] * ms)) == "SpikeTrains(0 spikes)"


def test_the_front_door_shows_what_is_public():
    try:
        expected = version("brian-eventprop")
    except PackageNotFoundError:
        expected = "unknown"
    assert bep.__version__ == expected
    assert "EventPropModel" in dir(bep) and "reading" not in dir(bep)
    assert all(hasattr(bep, name) for name in dir(bep))
