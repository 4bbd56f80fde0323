"""What Brian2 prints about errors and unused objects is left out where it would mislead."""

import gc
import logging
import subprocess
import sys

import pytest
from brian2 import NetworkOperation, NeuronGroup, Synapses, ms

import brian_eventprop as bep
from brian_eventprop.model import brian_messages

REPORT = "Brian 2 encountered an unexpected error"
PROGRAM = """
from brian2 import *
import brian_eventprop as bep
prefs.codegen.target = "numpy"
G = NeuronGroup(2, "dv/dt = -v/(10*ms) + xi/ms**0.5 : 1", threshold="v > 1", method="euler")
bep.EventPropModel([G], train=[G.v], loss=bep.Sum(bep.Final(G, "v")), duration=5*ms)
"""


def objects(model="dv/dt = -v/(10*ms) : 1"):
    G = NeuronGroup(2, model, threshold="v > 1", reset="v = 0", method="euler")
    S = Synapses(G, G, "w : 1", on_pre="v_post += w")
    S.connect()
    return G, S


def make(*given):
    loss = bep.Sum(bep.Final(given[0], "v"))
    return bep.EventPropModel(given, train=[given[0].v], loss=loss, duration=5 * ms)


def test_a_refused_model_ends_a_script_with_its_own_error():
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert run.returncode == 1
    assert "UnsupportedError: NeuronGroup" in run.stderr.splitlines()[-1]
    assert REPORT not in run.stderr and "getting deleted" not in run.stderr


@pytest.mark.parametrize(
    ("statement", "own"),
    [
        (lambda: make(*objects("dv/dt = -v/(10*ms) + xi/ms**0.5 : 1")), True),
        (lambda: bep.SpikeData([-1], [0], [0], 1, 1), True),
        (lambda: bep.SpikeData.from_raster("abc", 1 * ms), True),
        (lambda: make(*objects()).parameters["nothing"], True),
        (lambda: NeuronGroup(2, "dv/dt = : 1"), False),
        (lambda: make(*objects("dv/dt = -v : 1")), False),
        (lambda: 1 / 0, False),
    ],
)
def test_who_reports_an_error(statement, own, monkeypatch):
    reported = []
    monkeypatch.setattr(sys, "__excepthook__", lambda *error: reported.append((True, error)))
    monkeypatch.setattr(
        brian_messages, "brian_excepthook", lambda *error: reported.append((False, error))
    )
    with pytest.raises(Exception) as error:
        statement()
    brian_messages.report(error.type, error.value, error.tb)
    assert reported == [(own, (error.type, error.value, error.tb))]


def test_the_hook_of_someone_else_stays(monkeypatch):
    monkeypatch.setattr(sys, "excepthook", print)
    brian_messages.report_own_errors()
    assert sys.excepthook is print
    monkeypatch.setattr(sys, "excepthook", brian_messages.brian_excepthook)
    brian_messages.report_own_errors()
    assert sys.excepthook is brian_messages.report


@pytest.fixture
def unused(caplog):
    """Names of the objects that Brian2 warns of."""
    logger = logging.getLogger("brian2.core.base.unused_brian_object")
    before = logger.level
    logger.setLevel(logging.WARNING)
    gc.collect()
    caplog.clear()

    def names():
        gc.collect()
        found = [r for r in caplog.records if r.name.endswith("unused_brian_object")]
        return [record.getMessage().split("'")[1] for record in found]

    yield names
    logger.setLevel(before)


def refused(model):
    G, S = objects(model)
    G[:1].run_regularly("v = 1")
    G.contained_objects.append(NetworkOperation(lambda: None))
    with pytest.raises(bep.UnsupportedError):
        make(G, S)


def test_objects_that_a_model_has_read_may_go(unused):
    for _ in range(2):
        make(*objects())
        refused("dv/dt = -v/(10*ms) + xi/ms**0.5 : 1")
    assert unused() == []


def test_brian2_still_warns_of_objects_that_no_model_has_seen(unused):
    make(*objects())
    forgotten = [*objects(), NeuronGroup(1, "v : 1", name="lonely")]
    del forgotten
    assert "lonely" in unused()
