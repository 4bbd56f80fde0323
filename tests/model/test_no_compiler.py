"""A model has Brian2 compile nothing, whatever its preferences are."""

import brian2
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, ms
from brian2.codegen.runtime.cython_rt import CythonCodeObject

import brian_eventprop as bep


def test_strings_are_evaluated_without_a_compiler(monkeypatch):
    source = SpikeGeneratorGroup(2, [0, 1], [1, 2] * ms, name="source")
    cells = NeuronGroup(
        3, "dv/dt = (drive - v)/(10*ms) : 1 (unless refractory)\ndrive : 1\nvt : 1",
        threshold="v > vt", reset="v = 0.1*i", refractory="(1 + 0.1*i)*ms", method="exact",
        name="cells",
    )  # fmt: skip
    s = Synapses(source, cells, "w : 1", on_pre="v_post += w", name="s")
    s.connect()
    cells.vt, s.w, s.delay = "1 + 0.1*i", "0.6 + 0.1*j", "(1 + 0.1*j)*ms"

    def refuse(*given, **named):
        raise AssertionError("Brian2 is about to compile")

    monkeypatch.setattr(CythonCodeObject, "__init__", refuse)
    brian2.prefs.codegen.target = "cython"
    try:
        with pytest.raises(AssertionError, match="about to compile"):
            Synapses(source, cells, name="s_compiled").connect()  # the trap works
        model = bep.EventPropModel(
            [source, cells, s], train=[s.w, s.delay, cells.vt, cells.v], duration=6 * ms,
            loss=bep.Sum(bep.Integral(cells, "v**2")), backend="interpreter",
        )  # fmt: skip
        assert len(model.run().spikes[cells]) > 0
        assert model.gradient()[s.w].any()
        model.record(cells, ["v*vt"], adjoint=True)
        model.write_back()
    finally:
        brian2.prefs.codegen.target = "numpy"
