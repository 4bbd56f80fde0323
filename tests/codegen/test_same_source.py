"""The same network gives the same kernels in every process, or none of them is found again."""

import os
import subprocess
import sys

PROGRAM = """
import hashlib
from brian2 import ms, start_scope
import brian_eventprop as bep
from helpers.networks import random as random_networks

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
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            env={**environment, "PYTHONHASHSEED": str(seed)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in (1, 2)
    ]
    first, *others = [p.communicate(timeout=500)[0].splitlines() for p in running]
    assert len(first) == 4
    assert others == [first]
