"""Run many random networks: ``PYTHONPATH=tests python -m helpers.grammar --networks 100``.

Each network becomes one line of JSON in the output file.  Seeds that are in the file already are
left out, so that a run which was stopped goes on.  ``--show SEED`` prints the script of a network.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import json
import logging
import multiprocessing
import os
import signal
from pathlib import Path


def main(arguments=None) -> int:
    """Parse the command line, run, print the table; return 1 if something failed."""
    parser = argparse.ArgumentParser(prog="python -m helpers.grammar", description=__doc__)
    parser.add_argument("--networks", type=int, default=25)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--output", type=Path, help="a file of JSON lines, to go on with")
    parser.add_argument("--limit", type=int, default=60, help="CPU seconds for one network")
    parser.add_argument("--only", default="", help="only networks with a tag that has this text")
    parser.add_argument("--show", type=int, help="print the script of this seed")
    parser.add_argument("--judge", type=Path, help="compare the network of this script")
    options = parser.parse_args(arguments)
    if options.show is not None:
        from helpers.grammar.networks import draw_network

        print(draw_network(options.show).whole())
        return 0
    if options.judge:
        return judge_file(options.judge)
    known = read(options.output)
    seeds = seeds_with(options.only, options.first, options.networks)
    missing = [seed for seed in seeds if seed not in known]
    for found in run(missing, options.processes, options.limit):
        known[found["seed"]] = found
        if options.output:
            with options.output.open("a") as file:
                file.write(json.dumps(found) + "\n")
    chosen = [known[seed] for seed in seeds if seed in known]
    print(table(chosen))
    return int(any("FAILED" in str(v) for f in chosen for v in f.values()))


def seeds_with(text: str, first: int, count: int) -> list[int]:
    """Return as many seeds, from ``first`` on, of networks with a tag that has this text in it."""
    from helpers.grammar.networks import draw_network

    seeds = itertools.count(first)
    chosen = (s for s in seeds if not text or text in "; ".join(draw_network(s).tags))
    return list(itertools.islice(chosen, count))


def read(path: Path | None) -> dict:
    """Return what a file of results has, by seed."""
    if path is None or not path.exists():
        return {}
    lines = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    return {found["seed"]: found for found in lines}


def run(seeds, processes: int, limit: int):
    """Yield the verdicts on the networks of these seeds."""
    if processes == 1:
        yield from (one((seed, limit)) for seed in seeds)
        return
    with multiprocessing.get_context("spawn").Pool(processes, maxtasksperchild=100) as pool:
        yield from pool.imap_unordered(one, [(seed, limit) for seed in seeds])


def one(job) -> dict:
    """Draw and judge one network, within a time limit."""
    seed, limit = job
    prepare()
    from helpers.grammar.comparisons import TimeLimit, judge
    from helpers.grammar.networks import draw_network

    def stop(*_):
        raise TimeLimit(f"more than {limit} s")

    signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, limit, 1)
    found: dict = {"seed": seed}
    try:
        return judge(draw_network(seed), found)
    except TimeLimit as error:
        return found | {"time": f"stopped: {error}"}
    except Exception as error:
        return {**found, "comparison": f"FAILED: raises {type(error).__name__} {error}"}
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def judge_file(path: Path) -> int:
    """Compare the network of a script, one that ``--show`` prints or a shorter one."""
    prepare()
    from helpers.grammar.comparisons import judge
    from helpers.grammar.networks import Script

    text = path.read_text().partition("DT = 0.1\n")[2].partition("for solver in")[0]
    found = judge(Script(-1, text, ()))
    print(json.dumps(found, indent=1))
    return int("FAILED" in str(found))


def prepare() -> None:
    """Interpret the kernels, and keep Brian2 quiet."""
    os.environ.setdefault("NUMBA_NUM_THREADS", "1")
    from helpers import interpreted

    interpreted.install()
    import brian2

    brian2.prefs.codegen.target = "numpy"
    logging.getLogger("brian2").setLevel(logging.WARNING)
    logging.getLogger("brian2.core.base.unused_brian_object").setLevel(logging.CRITICAL)


def table(results: list[dict]) -> str:
    """Count the verdicts by stage and reason, with a few seeds of each."""
    from helpers.grammar.comparisons import reason_of

    kinds = collections.defaultdict(list)
    for found in results:
        for stage, verdict in found.items():
            if stage not in ("seed", "tags", "seconds", "spikes in Brian2"):
                head = verdict.partition(":")[0]
                reason = head if head in ("agrees", "ran") else reason_of(verdict)
                kinds[stage, reason].append(found["seed"])
    lines = [f"{len(results)} networks"]
    order = sorted(kinds.items(), key=lambda kind: (kind[0][0], -len(kind[1])))
    for (stage, reason), seeds in order:
        some = ", ".join(map(str, seeds[:8])) if reason not in ("agrees", "ran") else ""
        lines.append(f"{len(seeds):5}  {stage:12} {reason}  [{some}]")
    return "\n".join(lines)
