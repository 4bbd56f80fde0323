"""What was measured, for people: tables in Markdown, all numbers in CSV, ratios in a picture."""

import csv

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import NullFormatter, ScalarFormatter
from peers.tasks import OURS, SWEPT, YIN_YANG

QUANTITIES = {"cpu_s": "CPU time", "wall_s": "wall time", "over_idle_mib": "peak memory"}
AXES = {
    "max_delay": "longest delay (steps)",
    "n_steps": "sequence length (steps)",
    "n_hidden": "neurons per hidden layer",
}
SHAPE = ("n_inputs", "n_hidden", "n_steps", "max_delay", "dt_ms", "n_trials", "threads")
#: Peak memory over idle is rounded up to this: below it the page counter is noise.
LEAST_MIB = 1.0


def amount(record, quantity):
    """Return a measured quantity."""
    value = record[quantity]
    return max(value, LEAST_MIB) if quantity == "over_idle_mib" else value


def matching(records, **shape):
    """Return the records of one network by tool; tools without delays fit any longest delay."""
    found = {}
    for record in records:
        task = record["task"]
        wanted = {**shape, "max_delay": 0} if task.get("max_delay") == 0 else shape
        if all(task.get(name) == value for name, value in wanted.items()):
            found[task["tool"]] = record
    return found


def shape_of(task, **changes):
    """Return what fixes a network, for `matching`."""
    return {"family": "shd", **{name: task[name] for name in SHAPE}, **changes}


def seconds(value):
    return f"{value:.3f}" if value < 10 else f"{value:.1f}"


def ratio(record, ours, quantity):
    """Return how much more than ours, as text."""
    if ours is None or "error" in ours:
        return "-"
    factor = amount(record, quantity) / amount(ours, quantity)
    return f"{factor:.2g}x" if factor < 10 else f"{factor:.0f}x"


def quantities(threads):
    """Return what is compared; not CPU time on several threads, where idle ones may spin."""
    return {q: label for q, label in QUANTITIES.items() if threads == 1 or q != "cpu_s"}


def table(rows_by_name, ours, threads=1):
    """Return a Markdown table of records, or of why there is none."""
    shown = quantities(threads)
    names = ["CPU s"] * (threads == 1) + ["wall s", "MiB over idle", "MiB in all"]
    names += [f"{label} ratio" for label in shown.values()]
    lines = [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for name, record in rows_by_name.items():
        if "error" in record:
            lines.append(f"| {name} | {record['error']} |{' |' * (len(names) - 1)}")
            continue
        cells = [seconds(record[q]) for q in shown if q != "over_idle_mib"]
        peak = record["idle_mib"] + record["over_idle_mib"]
        cells += [f"{record['over_idle_mib']:.0f}", f"{peak:.0f}"]
        cells += [ratio(record, ours, quantity) for quantity in shown]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def activity(ours):
    """Return a sentence on the work in our row, which depends on how often neurons spike."""
    if ours is None or "error" in ours:
        return []
    facts = ours["facts"]
    spikes = ", ".join(f"{n:.1f}" for n in facts["spikes per hidden neuron"])
    events = facts["synaptic events"]
    return [
        f"{OURS}: {spikes} spikes per neuron and trial in the hidden layers, "
        f"{events / 1e6:.1f} million synaptic events, {ours['cpu_s'] / events * 1e9:.2f} ns of CPU "
        "time for each.",
        "",
    ]


def sweep(records, base, name, values):
    """Return a Markdown table of ratios along one number of the network."""
    shown = quantities(base["threads"])
    first = next(iter(shown))
    header = [f"{AXES[name]}", f"{OURS}: {QUANTITIES[first]} (s), MiB"]
    tools = [tool for tool in SWEPT if tool != OURS]
    lines = [f"| {' | '.join(header + tools)} |", "|---" * (len(header) + len(tools)) + "|"]
    for value in values:
        found = matching(records, **shape_of(base, **{name: value}))
        ours = found.get(OURS)
        if ours is None or "error" in ours:
            continue
        cells = [str(value), f"{seconds(ours[first])}, {ours['over_idle_mib']:.0f}"]
        for tool in tools:
            record = found.get(tool, {"error": "not run"})
            cells.append(
                record["error"]
                if "error" in record
                else ", ".join(ratio(record, ours, quantity) for quantity in shown)
            )
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def conditions(machine, records):
    """Return the sentences that say how far the numbers can be trusted."""
    measured = [r for r in records if "error" not in r and r["task"]["threads"] == 1]
    waited = [r for r in measured if r["wall_s"] > 1.2 * r["cpu_s"]]
    said = (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}, Python "
        f"{machine['python']}, {machine['date']}."
    )
    if waited:
        said += (
            f" The machine was shared: in {len(waited)} of {len(measured)} runs on one thread wall "
            "time was more than 1.2 times CPU time. Compare CPU times; even they suffer."
        )
    return said


def versions(records):
    """Return the versions of what was measured."""
    found = {}
    for record in records:
        found |= record.get("facts", {}).get("versions", {})
    return ", ".join(f"{name} {version}" for name, version in sorted(found.items()))


def absent(records):
    """Return one line for each tool that did not run, and why."""
    return sorted({f"- {r['task']['tool']}: {r['error']}" for r in records if "error" in r})


def markdown(machine, records, base, curves, coarse):
    """Return the report."""
    shd = [r for r in records if r["task"]["family"] == "shd"]
    threads = sorted({r["task"]["threads"] for r in shd})
    lines = ["# brian-eventprop beside its peers", "", conditions(machine, records), ""]
    lines += [f"Versions: {versions(records)}.", "", INTRODUCTION, ""]
    for count in threads:
        found = matching(shd, **shape_of(base, threads=count))
        if found:
            lines += [f"## {describe(base)}, {count} thread{'s' * (count > 1)}", ""]
            lines += [*table(found, found.get(OURS), count), "", *activity(found.get(OURS))]
    for count in threads:
        for name, values in curves.items():
            rows = sweep(shd, {**base, "threads": count}, name, values)
            if len(rows) > 3:  # a head, a rule, and more than one row
                words = ", ".join(quantities(count).values())
                lines += [f"## {AXES[name].capitalize()}, {count} thread{'s' * (count > 1)}", ""]
                lines += [f"Ratios of {words}.", "", *rows, ""]
    for count in threads:
        found = matching(shd, **shape_of({**base, **coarse}, threads=count))
        if found:
            lines += [f"## {describe({**base, **coarse})}, {count} thread{'s' * (count > 1)}", ""]
            rows = with_fine(found, shd, count)
            lines += [COARSE_WORDS, "", *table(rows, found.get(OURS), count), ""]
            lines += activity(found.get(OURS))
    lines += yin_yang(records) + solvers(shd)
    lines += ["## Not run", "", *(absent(records) or ["- nothing"]), ""]
    lines += ["## Quoted, not measured here", "", *QUOTED, ""]
    return "\n".join(lines)


INTRODUCTION = (
    "One training step: forward, backward, Adam; the median of the batches that fitted into the "
    "time. Ratios are the tool over brian-eventprop with trained weights and synaptic delays, so "
    "10x means that the tool needs ten times as much. Memory is what the step needs over the "
    "process at rest with its data, model and compiled code, and in all."
)
#: What pip cannot install, as we measured it on another machine (two cores with AVX-512).
QUOTED = (
    "- Yin-Yang as above, the C++ program of Wunderlich and Pehle: 19 to 22 ms of CPU time a "
    "batch, weights only.",
    "- mlGeNN 2.4 on GeNN's CPU backend, which has one thread and batches of 1: 0.64 s of CPU time "
    "for 32 trials with trained delays of up to 62 steps, at the same input but with one recurrent "
    "layer of 256 neurons (8 ns per synaptic event; -O3 -march=native, 3.3 times slower with its "
    "default flags).",
)
COARSE_WORDS = (
    "The setting for which DCLS was published, and the best one for dense methods. The same "
    "spikes, summed over 5 channels and 10 ms for all but the last row (brian-eventprop sees at "
    "most one of them); the last row is brian-eventprop on the spikes as they are: 700 channels, "
    "steps of 1 ms, delays of up to 250 steps."
)


def describe(task):
    """Return a network in words."""
    return (
        f"{task['n_inputs']} inputs, 2 x {task['n_hidden']} hidden, {task['n_steps']} steps of "
        f"{task['dt_ms']} ms, delays up to {task['max_delay']} steps, batch {task['n_trials']}"
    )


def with_fine(found, records, count):
    """Add brian-eventprop at full resolution to the records of the coarse setting."""
    fine = matching(records, tool=OURS, n_trials=256, max_delay=250, threads=count)
    return {**found, **{f"{name}, 1 ms, 700 inputs": r for name, r in fine.items()}}


def yin_yang(records):
    """Return the section on the event solver."""
    found = {r["task"]["tool"]: r for r in records if r["task"]["family"] == "yin-yang"}
    if not found:
        return []
    found = {tool: found[tool] for tool in YIN_YANG if tool in found}
    words = (
        "100 samples, 5-100-3 neurons, cross-entropy of first spikes, exact spike times. "
        "brian-eventprop trains delays as well; its peers, and the row without delays, weights "
        "only."
    )
    spikes = [
        f"- {tool}: hidden, output spikes a trial "
        + ", ".join(f"{n:.1f}" for n in record["facts"]["spikes per trial"])
        for tool, record in found.items()
        if "spikes per trial" in record.get("facts", {})
    ]
    rows = table(found, found.get(OURS))
    return ["## Yin-Yang, event solver", "", words, "", *rows, "", *spikes, ""]


def solvers(records):
    """Return the section that compares our two solvers."""
    event = next((r for r in records if r["task"]["tool"] == f"{OURS}, event solver"), None)
    if event is None:
        return []
    found = matching(records, **shape_of(event["task"]))
    return [f"## {describe(event['task'])}, both solvers", "", *table(found, found.get(OURS)), ""]


def write_csv(path, records):
    """Write one line for each record."""
    names = ["family", "tool", *SHAPE]
    measured = ["cpu_s", "wall_s", "over_idle_mib", "idle_mib", "batches", "setup_s", "error"]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names + measured)
        for record in records:
            cells = [record["task"].get(name, "") for name in names]
            numbers = [record.get(name, "") for name in measured]
            writer.writerow(cells + [f"{x:.4g}" if isinstance(x, float) else x for x in numbers])


def draw(path, machine, records, base, curves):
    """Draw the ratios against each number of the network."""
    figure, grid = plt.subplots(
        len(QUANTITIES),
        len(curves),
        figsize=(11, 9),
        layout="constrained",
        sharey="row",
        squeeze=False,
    )
    for axes, (quantity, label) in zip(grid, QUANTITIES.items(), strict=True):
        axes[0].set_ylabel(f"{label}: tool / {OURS}")
        for axis, (name, values) in zip(axes, curves.items(), strict=True):
            axis.set(xlabel=AXES[name])
            for tool in SWEPT:
                points = ratios(records, base, name, values, tool, quantity)
                axis.plot(*zip(*points, strict=True) if points else ([], []), "o-", label=tool)
                if points:  # without any, logarithmic axes cannot be drawn
                    logarithmic(axis, values)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    figure.suptitle(
        f"{describe(base)}, {base['threads']} thread; {machine['cpu']}", fontsize=9, y=-0.02
    )
    figure.savefig(path, dpi=100, bbox_inches="tight")
    plt.close(figure)


def logarithmic(axis, values):
    """Make both axes logarithmic and name the values."""
    axis.set(xscale="log", yscale="log")
    axis.set_xticks(values)
    axis.xaxis.set_major_formatter(ScalarFormatter())
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.grid(alpha=0.3)


def ratios(records, base, name, values, tool, quantity):
    """Return the points (value, ratio) of one line."""
    points = []
    for value in values:
        found = matching(records, **shape_of(base, **{name: value}))
        ours, record = found.get(OURS), found.get(tool)
        if ours and record and "error" not in ours and "error" not in record:
            points.append((value, amount(record, quantity) / amount(ours, quantity)))
    return points
