"""What is compiled when imported, or an extra, must not be imported with the package."""

import subprocess
import sys

PROGRAM = """
import sys, brian_eventprop
compiled = {f"brian_eventprop.kernels.event.{name}" for name in ("arrivals", "batched_arrivals")}
print(*(compiled | {"nir"}) & set(sys.modules))
"""


def test_the_package_compiles_nothing_and_needs_no_extra():
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == []
