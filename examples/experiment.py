"""Runs of many configurations, one line of JSON each, and the table of their means.

What the scripts with results share.  A run whose line stands in the file already is not repeated,
so a series that was interrupted goes on when the same command is given again.  A file of results
can be tabulated alone:

    python examples/experiment.py results.jsonl

Started by ``mpiexec -n 8``, the processes share the configurations, each with a file of its own
beside the given one; any number of processes goes on with what is there.
"""

import argparse
import itertools
import json
import time
from pathlib import Path

import numpy as np
from brian2 import BrianLogger

# A series makes many networks that only the models look at; Brian2 would warn of each.
BrianLogger.suppress_name("unused_brian_object")

#: What tells runs of one row of the table apart, and what is averaged over them.
SEED, MEASURED = "seed", ("test_accuracy", "validation_accuracy", "train_accuracy")


def combinations(**choices):
    """Yield a dict for every combination of the given lists, the last one changing fastest."""
    for values in itertools.product(*choices.values()):
        yield dict(zip(choices, values, strict=True))


def run_all(configurations, train_one, path):
    """Train every configuration that the file lacks, and print the table in the end.

    `train_one` takes the configuration as keyword arguments and returns a dict of numbers.
    """
    path, (rank, size, barrier) = Path(path), processes()
    # made once: configurations may come from a generator
    own = list(configurations)[rank::size]
    into = path.with_suffix(f".rank{rank}{path.suffix}") if size > 1 else path
    for configuration in own:
        configuration = json.loads(json.dumps(configuration))  # as it stands in the file
        if any(configuration == row["configuration"] for row in read(path)):
            continue
        start = time.perf_counter()
        numbers = train_one(**configuration)
        numbers["seconds"] = round(time.perf_counter() - start, 1)
        with open(into, "a") as file:
            file.write(json.dumps({"configuration": configuration, **numbers}) + "\n")
        print(json.dumps({**configuration, **numbers}), flush=True)
    barrier()
    if rank == 0:
        print(table(read(path)))


def processes():
    """Return the number of this process, how many there are, and a function that waits for all."""
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError):  # not installed, or without a library
        return 0, 1, lambda: None
    world = MPI.COMM_WORLD
    return world.Get_rank(), world.Get_size(), world.Barrier


def n_parameters(model):
    """Return the number of trained values of a model."""
    return int(np.sum([np.size(model.parameters.raw(key)) for key in model.parameters.keys]))


def read(path):
    """Return the rows of a file of results, and of those of several processes beside it."""
    path = Path(path)
    files = [path, *sorted(path.parent.glob(f"{path.stem}.rank*{path.suffix}"))]
    lines = (line for file in files if file.exists() for line in file.read_text().splitlines())
    return [json.loads(line) for line in lines]


def table(rows):
    """Return the means and standard deviations over the seeds, as a Markdown table.

    The columns are those settings that differ between the rows.
    """
    settings = [name for name in rows[0]["configuration"] if name != SEED]
    groups = []
    for row in rows:
        setting = {n: v for n, v in row["configuration"].items() if n != SEED}
        members = next((g for known, g in groups if known == setting), None)
        if members is None:
            groups.append((setting, members := []))
        members.append(row)
    first = groups[0][0]
    shown = [n for n in settings if any(known.get(n) != first[n] for known, _ in groups)]
    controls = [n for n in rows[0] if n.endswith("_accuracy") and n not in MEASURED]
    names = [n.removesuffix("_accuracy") for n in controls]
    heads = [*shown, "seeds", "test", "validation", "training", *names, "parameters", "s/epoch"]
    lines = [" | ".join(heads), " | ".join("---" for _ in heads)]
    for setting, members in groups:
        cells = [str(setting.get(name)) for name in shown]
        cells.append(str(len(members)))
        cells += [percent([row[name] for row in members]) for name in (*MEASURED, *controls)]
        cells.append(str(members[0]["parameters"]))
        cells.append(f"{np.median([row['epoch_seconds'] for row in members]):.2g}")
        lines.append(" | ".join(cells))
    return "\n".join(f"| {line} |" for line in lines)


def percent(values):
    """Return mean ± standard deviation in per cent; nothing where there are no values."""
    if None in values:
        return ""
    spread = f" ± {100 * np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    return f"{100 * np.mean(values):.1f}{spread}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", nargs="+")
    for name in parser.parse_args().results:
        print(table(read(name)), end="\n\n")
