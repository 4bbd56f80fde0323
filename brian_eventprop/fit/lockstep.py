"""Many searches in step: SciPy's minimisers, or Adam, on all starts, one batch for each round.

Beside them, SciPy's differential evolution, which needs no gradients and has one population.

Each minimiser of SciPy has a thread of its own, and asks for one point at a time; when all have
asked, the points are evaluated as one batch.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from brian_eventprop.fit.minimizers import optimize

#: Takes points (n, n_parameters); returns losses (n,) and gradients (n, n_parameters), or None.
Evaluate = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray] | None]

#: What the search sees in place of a loss that is infinite or no number.
_BAD = 1e9


class _Over(Exception):
    """The rounds are over."""


def minimize_together(
    evaluate: Evaluate, starts: np.ndarray, rounds: int, method: str, draw: Callable[[], np.ndarray]
) -> None:
    """Minimise from many starts within 0..1, in as many batches as there are rounds.

    Parameters
    ----------
    evaluate
        The loss; it keeps what is best, and returns None to stop.
    starts : array (n, n_parameters)
        Where the searches begin.
    rounds : int
        How many batches at most.
    method : str
        A method of `scipy.optimize.minimize` that takes gradients and bounds.
    draw
        Returns a new point, for a search that has converged.
    """
    optimize()  # which may not be installed
    n, size = starts.shape
    asked, left = np.array(starts), [rounds]
    answers: list = [None, None]
    failed: list[BaseException] = []

    def batch():
        answers[:] = None, None
        if failed or left[0] < 1:
            return
        left[0] -= 1
        try:
            found = evaluate(asked.copy())
        except BaseException as error:  # told in the thread that called
            failed.append(error)
            return
        if found is not None:
            losses, slopes = found
            good = np.isfinite(losses) & np.all(np.isfinite(slopes), axis=1)
            answers[0] = np.where(good, losses, _BAD)
            answers[1] = np.where(good[:, None], slopes, 0.0)

    together = threading.Barrier(n, action=batch)

    def search(k):
        def one(x):
            asked[k] = np.clip(x, 0.0, 1.0)
            together.wait()
            if answers[0] is None:
                raise _Over
            return float(answers[0][k]), answers[1][k].copy()

        point = starts[k]
        try:
            while True:
                optimize().minimize(one, point, jac=True, method=method, bounds=[(0.0, 1.0)] * size)
                point = draw()
        except (_Over, threading.BrokenBarrierError):
            pass
        except BaseException as error:
            failed.append(error)
            together.abort()

    threads = [threading.Thread(target=search, args=(k,), daemon=True) for k in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def adam(
    evaluate: Evaluate, starts: np.ndarray, rounds: int, rate: float = 0.05, last: float = 0.1
) -> None:
    """Take steps of Adam from many starts within 0..1, each on its own.

    Parameters
    ----------
    evaluate, starts, rounds
        As in `minimize_together`.
    rate : float
        The first step, as a part of the range between the bounds.
    last : float
        The last step, as a part of the first one; those between fall as a cosine.
    """
    x, mean, square = np.array(starts), np.zeros(starts.shape), np.zeros(starts.shape)
    for k in range(rounds):
        found = evaluate(x.copy())
        if found is None:
            return
        slopes = np.where(np.isfinite(found[1]), found[1], 0.0)
        mean = 0.9 * mean + 0.1 * slopes
        square = 0.99 * square + 0.01 * slopes**2
        down = mean / (1 - 0.9 ** (k + 1))
        size = np.sqrt(square / (1 - 0.99 ** (k + 1))) + 1e-12
        step = rate * (last + (1 - last) * (1 + np.cos(np.pi * k / rounds)) / 2)
        x = np.clip(x - step * down / size, 0.0, 1.0)


def evolve(evaluate: Callable, starts: np.ndarray, rounds: int, random) -> None:
    """Let a population evolve within 0..1, without gradients.

    Parameters
    ----------
    evaluate
        Returns the losses (n,) of points, or None to stop.
    starts, rounds
        As in `minimize_together`.
    random : `numpy.random.Generator`
        Chooses what is combined.
    """
    if len(starts) < 5:
        raise ValueError(f"differential evolution needs n_samples=5 or more, not {len(starts)}")

    def losses(x):
        found = evaluate(x.T.copy())
        if found is None:
            raise _Over
        return np.where(np.isfinite(found), found, _BAD)

    try:
        optimize().differential_evolution(
            losses, [(0.0, 1.0)] * starts.shape[1], init=starts, maxiter=max(rounds - 1, 0),
            polish=False, tol=0, vectorized=True, updating="deferred", rng=random,
        )  # fmt: skip
    except _Over:
        pass
