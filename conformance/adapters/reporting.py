"""What all adapters do with their results: print them, and keep them for the table."""

from __future__ import annotations

import json
import time
from importlib.metadata import version
from pathlib import Path

from conformance.reader import compare, load_all

FOLDER = Path(__file__).parents[1] / "results"


def report(package: str, setting: str, names, run) -> None:
    """Run the networks of these names, or all, and add the digits to ``results/SETTING.json``."""
    path = FOLDER / f"{setting}.json"
    FOLDER.mkdir(exist_ok=True)
    for network in load_all(names):
        start = time.time()
        try:
            found = compare(network, **run(network))
            line = {key: round(digits, 1) for key, digits in found.items()}
        except Exception as error:  # the table says which networks cannot be run, and why
            message = str(error).strip() or type(error).__name__
            line = {"cannot": message.splitlines()[0][:200]}
        print(network["name"], line, f"{time.time() - start:.0f} s", flush=True)
        known = json.loads(path.read_text()) if path.exists() else {}
        known |= {"package": package, "version": version(package)}
        known.setdefault("networks", {})[network["name"]] = line
        known["networks"] = dict(sorted(known["networks"].items()))
        path.write_text(json.dumps(known, indent=1) + "\n")
