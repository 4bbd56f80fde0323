"""Write ``results.md`` from what the adapters have kept: ``python -m conformance.table``."""

from __future__ import annotations

import json
from pathlib import Path

from .reader import load_all

HERE = Path(__file__).parent


def cell(line: dict | None) -> str:
    """Return the fewest digits of the gradients, and of the loss where it is less."""
    if line is None:
        return ""
    if "cannot" in line:
        return "-"
    gradients = [digits for key, digits in line.items() if key not in ("loss", "spikes")]
    if line["spikes"] <= 0:
        return "other spikes"
    return f"{min(gradients, default=0):.1f}" if gradients else "-"


def reasons(results: dict) -> list[str]:
    """Return why networks could not be run, each reason once."""
    lines = []
    for setting, found in results.items():
        by_reason: dict[str, list[str]] = {}
        for name, line in found["networks"].items():
            if "cannot" in line:
                by_reason.setdefault(line["cannot"], []).append(name)
        if by_reason:
            lines += ["", f"{setting}:", ""]
        for reason, names in by_reason.items():
            some = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
            lines.append(f"- {reason}: {some}")
    return lines


def main() -> None:
    paths = sorted((HERE / "results").glob("*.json"))
    results = {path.stem: json.loads(path.read_text()) for path in paths}
    head = ["network", "double precision", *results]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for network in load_all():
        limit = min(network["expected"]["digits_in_double_precision"]["gradients"].values())
        cells = [cell(found["networks"].get(network["name"])) for found in results.values()]
        lines.append("| " + " | ".join([network["name"], str(limit), *cells]) + " |")
    versions = [f"{s}: {r['package']} {r['version']}" for s, r in results.items()]
    text = (HERE / "results_head.md").read_text()
    text = text.replace("VERSIONS", "; ".join(versions)).replace("TABLE", "\n".join(lines))
    text = text.replace("REASONS", "\n".join(reasons(results)).strip())
    (HERE / "results.md").write_text(text)


if __name__ == "__main__":
    main()
