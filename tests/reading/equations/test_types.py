"""Booleans and integers are read as numbers that have Brian2's values."""

import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, ms

import brian_eventprop as bep
from brian_eventprop.errors import UnsupportedError
from brian_eventprop.reading import read_network

MODEL = """dv/dt = (x - v)/(10*ms) : 1
x : 1
n : integer
k : integer
on : boolean
off : boolean
"""


def group(reset="v = 0", model=MODEL, threshold="v > 1", **options):
    return NeuronGroup(
        2, model, threshold=threshold, reset=reset, method="euler", name="G", **options
    )


def read(*args, **options):
    return read_network([group(*args, **options)], [], {})[0].groups[0]


@pytest.mark.parametrize(
    ("reset", "statement"),
    [
        ("n += 1", "n = int(n + (1))"),
        ("n = 2*x", "n = int(2.0 * x)"),
        ("n = x > 1", "n = int(x > 1)"),
        ("n -= int(on)", "n = int(n - (on))"),
        ("on = True", "on = int(True)"),
        ("on = off", "on = int(off > 0.5)"),
        ("on = not on and x > n", "on = int(not on > 0.5 and x > n)"),
        ("x = int(not on)*x", "x = x * (0 if on > 0.5 else 1)"),
        ("v = (1 - int(off))*exp(x)", "v = 0.0 if off > 0.5 else exp(x)"),
        ("x += int(on or v > 2)", "x = x + (int(on > 0.5 or v > 2))"),
        ("x = v > 2", "x = int(v > 2)"),
        ("x = n/2", "x = 0.5 * n"),
        ("x = x*int(on == True)", "x = x * (1 if on > 0.5 else 0)"),
    ],
)
def test_statements(reset, statement):
    last = read(f"v = 0\n{reset}").reset[-1]
    assert f"{last.target} = {last.expression}" == statement


def test_conditions_and_equations():
    spec = read(threshold="v > 1 and (on or n < 3)")
    assert spec.threshold == "v > 1 and (on > 0.5 or n < 3)"
    model = (
        MODEL.replace("x - v", "x*int(on) + c*int(h) - v") + "c = 2*n : 1\nh = not off : boolean"
    )
    spec = read(model=model, reset="v = 0; n += 1")
    assert spec.derivatives["v"] == "(x * on + 2 * n * (1 - off) - v) / (10 * ms)"
    assert spec.states == ("v", "n")


def test_readouts():
    G = group("v = 0; on = not on")
    spec, _ = read_network([G], [bep.Final(G, "int(on)*x + n")], {})
    assert spec.readouts[0].expression == "on * x + n"
    with pytest.raises(ValueError, match="is a condition"):
        read_network([G], [bep.Final(G, "on")], {})


@pytest.mark.parametrize(
    ("reset", "statement", "reason"),
    [
        ("n += 0.5", "n += 0.5", "changed in place"),
        ("n /= 2", "n /= 2", "changed in place"),
        ("on = 1", "on = 1", "a number is assigned"),
        ("on = n", "on = n", "a number is assigned"),
        ("n = x; v = n", "n = x", "targets disagree"),
        ("n = x; n += 1", "n = x", "targets disagree"),
    ],
)
def test_what_has_no_clear_meaning(reset, statement, reason):
    with pytest.raises(UnsupportedError, match=reason) as error:
        read(f"v = 0; {reset}")
    assert f"NeuronGroup 'G': '{statement}'" in str(error.value)


def test_whole_numbers_are_not_trained():
    G = group("v = 0; n += 1; on = v > 2", model=MODEL.replace("x - v", "x + n*int(on) - v"))
    source = SpikeGeneratorGroup(1, [0], [1] * ms)
    S = Synapses(source, G, "w : 1\nm : integer", on_pre="v_post += w*m", name="S")
    S.connect()
    for item, reason in ((G.n, "integers"), (S.m, "integers"), (G.on, "true or false")):
        with pytest.raises(ValueError, match=f"{reason} and cannot be trained"):
            bep.EventPropModel([G, source, S], train=[item], loss=bep.Sum(bep.Final(G, "v")),
                               duration=3 * ms)  # fmt: skip
