"""What is compiled when a module is imported must not be imported with the package."""

import subprocess
import sys

PROGRAM = """
import sys, brian_eventprop
compiled = {f"brian_eventprop.codegen.{name}" for name in ("arrivals", "bulk_arrivals", "nodes")}
print(*compiled & set(sys.modules))
"""


def test_the_package_compiles_nothing():
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == []
