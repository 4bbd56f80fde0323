"""The same network gives the same kernels in every process, or none of them is found again."""

import io
import os
import subprocess
import sys
from contextlib import redirect_stdout

PROGRAM = """
import hashlib
from brian2 import ms, prefs, start_scope
import brian_eventprop as bep
from helpers.networks import random as random_networks

prefs.codegen.target = "numpy"
for kind in ("saturating", "adex"):
    for solver in ("clock", "event"):
        start_scope()
        network = random_networks.build(kind, seed=4, size=0.3, trials=1)
        try:
            model = bep.EventPropModel(
                network.objects, train=network.train, loss=network.loss, duration=20 * ms,
                namespace=network.namespace, solver=solver, backend="interpreter",
            )
        except bep.UnsupportedError as error:  # a loop without delay
            print(kind, solver, error)
            continue
        print(kind, solver, hashlib.sha256(model.source.encode()).hexdigest())
"""


def test_the_order_of_sets_does_not_matter():
    """Python draws it anew in each process, unless it is told the seed."""
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": seed}
    there = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, stdout=subprocess.PIPE, text=True,
        timeout=500, check=True,
    )  # fmt: skip
    with redirect_stdout(io.StringIO()) as here:
        exec(PROGRAM, {})
    assert len(here.getvalue().splitlines()) == 4
    assert here.getvalue() == there.stdout
