"""Processes that train together give the bits of one, and end together."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("mpi4py.MPI", exc_type=(ImportError, RuntimeError))
ROOT = Path(__file__).parents[3]
MPIEXEC = Path(sys.executable).parent / "mpiexec"
pytestmark = pytest.mark.skipif(not MPIEXEC.exists(), reason="there is no mpiexec")


TRAIN = Path(__file__).with_name("train.py")


def start(n_ranks, *arguments, script=TRAIN):
    command = [MPIEXEC, "-n", str(n_ranks), sys.executable, script, *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def run(n_ranks, *arguments, **options):
    process = start(n_ranks, *arguments, **options)
    printed, errors = process.communicate(timeout=300)
    return process.returncode, printed, errors


def digests(printed):
    return set(re.findall(r"rank \d+ of \d+ (\w{16} \S+)", printed))


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What one process with the same chunks finds, and its folder."""
    folder = tmp_path_factory.mktemp("alone")
    code, printed, errors = run(1, folder, "plain")
    assert code == 0, errors[-2000:]
    return digests(printed), (folder / "log.csv").read_text()


@pytest.mark.parametrize("n_ranks", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_several_processes_give_the_bits_of_one(n_ranks, alone, tmp_path):
    code, printed, errors = run(n_ranks, tmp_path, "plain")
    assert code == 0, errors[-2000:]
    assert len(re.findall("rank ", printed)) == n_ranks
    assert digests(printed) == alone[0] and len(alone[0]) == 1
    # written once, by rank 0, with the same numbers but for the times
    rows = [line.split(",")[:4] for line in (tmp_path / "log.csv").read_text().splitlines()]
    assert rows == [line.split(",")[:4] for line in alone[1].splitlines()] and len(rows) == 4


@pytest.mark.slow
def test_a_checkpoint_goes_on_with_another_number_of_processes(alone, tmp_path):
    code, _, errors = run(2, tmp_path, "plain", 1)
    assert code == 0, errors[-2000:]
    code, printed, errors = run(1, tmp_path, "resume", 2)
    assert code == 0, errors[-2000:]
    code, printed, errors = run(4, tmp_path, "resume", 3)
    assert code == 0, errors[-2000:]
    assert digests(printed) == alone[0]


@pytest.mark.parametrize(
    "mode, message",
    [
        ("error", "one rank has a fault"),
        pytest.param("seeds", "rank 1 has another model than rank 0", marks=pytest.mark.slow),
        pytest.param("batches", "were given different batches", marks=pytest.mark.slow),
    ],
)
def test_an_error_on_one_rank_ends_all(mode, message, tmp_path):
    code, printed, errors = run(2, tmp_path, mode)
    assert code != 0 and message in errors and not digests(printed)


@pytest.mark.slow
def test_a_rank_that_is_killed_ends_all_and_leaves_a_good_checkpoint(tmp_path):
    process = start(2, tmp_path, "long")
    while "epoch 3" not in process.stdout.readline():
        assert process.poll() is None
    children = subprocess.run(
        ["pgrep", "-f", f"train.py {tmp_path} long"], capture_output=True, text=True
    )
    ranks = [int(pid) for pid in children.stdout.split() if int(pid) != process.pid]
    os.kill(ranks[-1], signal.SIGKILL)
    killed = time.monotonic()
    process.communicate(timeout=60)
    assert process.returncode != 0 and time.monotonic() - killed < 20
    assert [path.name for path in tmp_path.glob("*.h5*")] == ["run.h5"]
    code, printed, errors = run(1, tmp_path, "resume", 8)
    assert code == 0 and len(digests(printed)) == 1, errors[-2000:]


def test_the_example_runs(tmp_path):
    example = ROOT / "examples" / "yin_yang_mpi.py"
    options = ["--epochs", "1", "--size", "40", "--backend", "interpreter"]
    found = [run(n, *options, script=example) for n in (2, 1)]
    assert [code for code, *_ in found] == [0, 0], found[0][2][-2000:]
    assert len({re.search(r"parameters (\w+)", printed)[1] for _, printed, _ in found}) == 1
