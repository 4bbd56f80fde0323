"""What all adapters do with their results: print them, and keep them for the table."""

from __future__ import annotations

import json
import re
import time
from importlib.metadata import version
from pathlib import Path

from conformance.reader import compare, load_all

FOLDER = Path(__file__).parents[1] / "results"


def reason(error: Exception) -> str:
    """Return one line of an error: its first one, or the innermost error's if it quotes others."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    quoted = [line for line in lines if re.match(r"[\w.]+(Error|Exception)\b: ?\S", line)]
    return (quoted[-1] if quoted else lines[0])[:200]


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
            line = {"cannot": reason(error)}
        print(network["name"], line, f"{time.time() - start:.0f} s", flush=True)
        known = json.loads(path.read_text()) if path.exists() else {}
        known |= {"package": package, "version": version(package)}
        known.setdefault("networks", {})[network["name"]] = line
        known["networks"] = dict(sorted(known["networks"].items()))
        path.write_text(json.dumps(known, indent=1) + "\n")
