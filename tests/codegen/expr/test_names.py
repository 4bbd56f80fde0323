"""The names of a user are no names of the generated code, whatever they are."""

import re
from keyword import iskeyword

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, ms, start_scope

import brian_eventprop as bep

#: Explosive upstrokes, conditions, functions of time; TOTAL reads many constants.
EQUATIONS = """
dv/dt = (v**2 + TOTAL*int(v > 0.3) + floor(2*u) + I + sin(K*t/ms))/(10*ms) : 1 (unless refractory)
dI/dt = -a*I*sqrt(u)/ms : 1
du/dt = (TOTAL - u)/(7*ms) : 1
a : 1 (constant)
K : 1 (constant, shared)
"""


def source(solver, words):
    """The kernels of a network with constants of these names."""
    start_scope()
    given = SpikeGeneratorGroup(2, [0, 1], [1, 2] * ms, name="given")
    terms = [f"{word}*u" for word in words]  # a sum of constants alone is computed beforehand
    sums = [f"sin({' + '.join(terms[k : k + 8])})" for k in range(0, len(terms), 8)]
    equations = EQUATIONS.replace("TOTAL", f"({' + '.join(sums)})")
    equations += "\n".join(f"{word} : 1 (constant)" for word in words)
    cells = NeuronGroup(
        2, equations, threshold="v > 10 + a", reset="v = -1; u += 0.1*a", refractory=2 * ms,
        method="euler", name="cells",
    )  # fmt: skip
    synapses = Synapses(given, cells, "w : 1", on_pre="I_post += w*(2 - I_post)", name="synapses")
    synapses.connect()
    loss = bep.Sum(
        bep.Integral(cells, "int(v > 0.2*a)*v/ms"), bep.Maximum(cells, "u*a"),
        bep.Final(cells, "u*a"), bep.SpikeTimes(cells, "t/ms"),
    )  # fmt: skip
    model = bep.EventPropModel(
        [given, cells, synapses], train=[cells.a, synapses.w, synapses.delay], loss=loss,
        duration=10 * ms, solver=solver,
    )  # fmt: skip
    return model.source


def identifiers(text):
    """The names in the code, without those in comments."""
    code = re.sub(r'#.*|"""[\s\S]*?"""', "", text)
    return set(re.findall(r"\b[A-Za-z_]\w*", code))


@pytest.mark.parametrize("solver", ["clock", "event"])
def test_constants_named_like_variables_of_the_kernels(solver):
    """None of them become one: as many names as with constants of other names."""
    plain = identifiers(source(solver, ["neutral"]))
    prefixes = ("cells_", "neuron_", "g0_")
    made = {n.removeprefix(x) for n in plain for x in prefixes if n.startswith(x)}
    known = {"v", "I", "u", "a", "w", "K", "ms", "neutral"}
    words = sorted(w for w in made - known if re.fullmatch(r"[A-Za-z]\w*", w))
    words = [w for w in words if not w.endswith(("_pre", "_post")) and not iskeyword(w)]
    assert len(words) > 50
    neutral = [f"neutral{k}" for k in range(len(words))]
    assert len(identifiers(source(solver, words))) == len(identifiers(source(solver, neutral)))


def test_the_names_of_constants_do_not_change_a_gradient():
    found = []
    for first, second in (("alpha", "beta"), ("slope", "ratio")):
        start_scope()
        group = NeuronGroup(
            1,
            f"""dv/dt = ({first} - v + {second}*int(v > 0.5))/(10*ms) : 1
                {first} : 1 (constant, shared)
                {second} : 1 (constant, shared)""",
            threshold="v > 1.2", reset="v = 0", method="euler", name="group",
        )  # fmt: skip
        setattr(group, first, 1)
        setattr(group, second, 0.5)
        constants = [getattr(group, first), getattr(group, second)]
        model = bep.EventPropModel(
            [group], train=constants, loss=bep.Sum(bep.Final(group, "v")), duration=9 * ms,
            solver="clock",
        )  # fmt: skip
        model.run()
        gradient = model.gradient()
        found.append([gradient.raw(model.key_of(c))[0] for c in constants])
    # v is 0.5 at t = 10 ms log(2), earlier by 10 ms per `alpha`, and goes to 1.5 from then on
    late = np.exp(np.log(2) - 0.9)
    exact = [1 - late + late * (1.5 - 0.5), 1 - late]
    assert found[0] == pytest.approx(exact, rel=0.02)  # the time step is a hundredth of 10 ms
    assert found[1] == found[0]
