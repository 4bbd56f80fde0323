"""brian-eventprop beside the tools its users would pick instead, on the same data in the same run.

Every tool trains on the same spikes in a process of its own: dilated convolutions with learnable
spacings (DCLS; one delay per synapse, and one per axon), a surrogate-gradient network in PyTorch
without delays, mlGeNN, and for exact spike times jaxsnn and Eventax.  What is not installed is
named as missing.  Written are a table, all numbers, and a picture of the ratios of CPU time, wall
time and peak memory against the longest delay, the sequence length and the hidden neurons.

    python benchmarks/against_peers.py            # a quarter of an hour on two quiet cores
    python benchmarks/against_peers.py --quick    # small networks, less than a minute

The peers are listed in requirements-peers.txt; they may live in another environment than
brian-eventprop, whose interpreter is then named with --peers-python.
"""

import argparse
import re
import sys
import tempfile
import time
from pathlib import Path

from peers import report
from peers.running import Records, cpu_name, missing_modules, run, tool_of, write_data
from peers.tasks import BASE, COARSE, FULL_CURVES, QUICK, QUICK_CURVES, full, quick

RESULTS = Path(__file__).parent / "results"


def arguments():
    """Return what the user asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small networks, to see that it runs")
    parser.add_argument("--resume", action="store_true", help="keep what an earlier run measured")
    parser.add_argument("--threads", type=int, default=2, help="for wall times (default: 2)")
    parser.add_argument("--minutes", type=float, default=15, help="start nothing after that")
    parser.add_argument("--peers-python", default=sys.executable, help="interpreter of the peers")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    return parser.parse_args()


def measure(tasks, records, chosen):
    """Run the tasks that have no result yet, and say how each went."""
    needed = sorted({name for task in tasks for name in tool_of(task).needs})
    missing = missing_modules(chosen.peers_python, needed)
    end = time.monotonic() + 60 * chosen.minutes
    limits = {"repeats": 3, "seconds": 1} if chosen.quick else {"repeats": 5, "seconds": 4}
    with tempfile.TemporaryDirectory() as folder:
        for number, task in enumerate(tasks, 1):
            known = records.find(task)
            if known is not None and "error" not in known:
                continue
            absent = [name for name in tool_of(task).needs if name in missing]
            left = end - time.monotonic()
            if absent:
                measured = {"error": f"missing ({', '.join(absent)} not installed)"}
            elif left <= 0:
                measured = {"error": "not run: out of time (--minutes, --resume)"}
            else:
                data = write_data(task, Path(folder))
                timeout = min(300 if chosen.quick else 600, left + 120)
                measured = run(task, chosen.peers_python, data, timeout, **limits)
            records.add(task, measured)
            print(f"{number}/{len(tasks)} {describe(task)}: {outcome(measured)}", flush=True)


def describe(task):
    """Return a task in one line."""
    numbers = {k: v for k, v in task.items() if k not in ("tool", "family", "n_outputs")}
    return f"{task['tool']} ({', '.join(f'{k} {v}' for k, v in numbers.items())})"


def outcome(measured):
    """Return a result in one line."""
    if "error" in measured:
        return measured["error"]
    return (
        f"{measured['cpu_s']:.3f} s CPU, {measured['wall_s']:.3f} s wall, "
        f"{measured['over_idle_mib']:.0f} MiB"
    )


def main():
    """Measure and write the results, named after the processor."""
    chosen = arguments()
    chosen.out.mkdir(parents=True, exist_ok=True)
    tasks = (quick if chosen.quick else full)(chosen.threads)
    base = {**BASE, **QUICK, "threads": chosen.threads} if chosen.quick else BASE
    curves = QUICK_CURVES if chosen.quick else FULL_CURVES
    kind = "peers_quick" if chosen.quick else "peers"
    name = re.sub(r"[^a-z0-9]+", "-", cpu_name().lower()).strip("-")
    path = chosen.out / f"{kind}_{name}.json"
    records = Records(path, chosen.resume)
    measure(tasks, records, chosen)
    found = records.records
    path.with_suffix(".md").write_text(
        report.markdown(records.machine, found, base, curves, COARSE)
    )
    report.write_csv(path.with_suffix(".csv"), found)
    report.draw(path.with_suffix(".png"), records.machine, found, base, curves)
    print(f"written: {path.with_suffix('.*')}")


if __name__ == "__main__":
    main()
