"""The loops of the clock solver over trials, segments and time steps, for any network.

A step consists of operations: functions that are called by their addresses, in the order of a list.
A row of the list is the address of a function, that of its context, and a source of spikes: the
operation is skipped in steps without spikes of the source (-1: it is never skipped).

Every source of spikes, and every pathway with a queue, has a row in a table of numbers; see
`FIRST` and the following.
"""

from __future__ import annotations

from brian_eventprop.kernels.cache import njit
from brian_eventprop.kernels.views import call

#: Forward pass: the spikes of the current step are FIRST..COUNT.  A step may write up to NEEDED
#: entries from COUNT on; CAPACITY is the length of the arrays.
FIRST, COUNT, NEEDED, CAPACITY = 0, 1, 2, 3
#: The spikes of the trial.
BEGIN, END = 4, 5
#: Backward pass: the spikes of the current step are LOWER..UPPER, those of the step after it are
#: UPPER..ABOVE.
LOWER, UPPER, ABOVE = 6, 7, 8
#: The number of grazing spikes, whose derivative the time grid does not resolve.
GRAZING = 9
#: The steps of the next spike, forward, and of the next one, backward, of a source whose spikes are
#: known; -1 if there is none.
NEXT, PREVIOUS = 10, 11
#: The number of columns of the table.
COLUMNS = 12

#: Numbers of the run: steps of a trial and of a segment, whether derivatives in the times of input
#: spikes are wanted, the first and the last step of the current segment, and the steps at which the
#: current stretch of steps began and at which it ends.
STEPS_OF_TRIAL, SEGMENT, WITH_INPUTS, N0, N1, START, STOP = 0, 1, 2, 3, 4, 5, 6
#: The first step that updates states, whether a segment is being recomputed, the longest time in
#: steps from a spike to its arrival, and the trial and the step where the loop stopped because an
#: array was full (the step is -1 before a trial has begun).
FIRST_UPDATED, RECOMPUTING, LONGEST, TRIAL, STEP = 7, 8, 9, 10, 11
#: Whether the backward pass keeps the states of the segment before the current one.
LOOKBACK = 12
#: How many numbers the run has.
NUMBERS = 13


#: The phases of the two passes, in the order of their operations.
FORWARD = ("begin", "checkpoint", "neurons", "arrivals", "end")
BACKWARD = (
    "prepare", "begin", "restore", "warm_up", "neurons_recomputed", "arrivals_recomputed",
    "recorded", "final", "neurons", "arrivals", "after_segment", "end",
)  # fmt: skip

_OPTIONS = {"nogil": True, "error_model": "numpy", "cache": True, "no_cfunc_wrapper": True}
_INNER = {**_OPTIONS, "no_cpython_wrapper": True, "_nrt": False}


@njit(**_INNER)
def _run(operations, first, last, table, trial, n):
    """Run operations first..last; return whether one of them asks for a longer array.

    An operation with a source runs in steps with spikes of that source.  An operation with the
    source -2 - s looks these spikes up and runs where source s has a spike in this step.
    """
    short = False
    for k in range(first, last):
        operation = operations[k]
        source = operation[2]
        if source >= 0:
            if table[source, FIRST] == table[source, COUNT]:
                continue
        elif source < -1 and table[-2 - source, NEXT] != n:
            table[-2 - source, FIRST] = table[-2 - source, COUNT]
            continue
        if call(operation[0], operation[1], trial, n) != 0:
            short = True
    return short


@njit(**_INNER)
def _run_back(operations, first, last, table, trial, n):
    """Run operations first..last of the backward pass, those with a source as above."""
    for k in range(first, last):
        operation = operations[k]
        source = operation[2]
        if source >= 0:
            if table[source, LOWER] == table[source, UPPER]:
                continue
        elif source < -1 and table[-2 - source, PREVIOUS] != n:
            table[-2 - source, UPPER] = table[-2 - source, LOWER]
            continue
        call(operation[0], operation[1], trial, n)


@njit(**_INNER)
def _stretch(trial, first, stop, operations, neurons, arrivals, end, table, run):
    """Run steps first..stop; return the step reached, and whether an array was too short for more.

    The operations neurons..arrivals take the end of the step before and the beginning of step n,
    those from there to `end` what arrives in it.
    """
    run[START], run[STOP], n, short = first, stop, first, False
    while n < stop and not short:
        short = _run(operations, neurons, arrivals, table, trial, n)
        short |= _run(operations, arrivals, end, table, trial, n)
        n += 1
    run[STOP] = n
    _run(operations, neurons, arrivals, table, trial, n)
    return n, short


@njit(**_OPTIONS)
def forward(last, operations, ends, table, run):
    """Run trials up to `last`; return whether an array has become too short to go on.

    ``ends`` has the beginning of the first phase among the operations, and the end of each.
    """
    trial, n, n_steps, segment = run[TRIAL], run[STEP], run[STEPS_OF_TRIAL], run[SEGMENT]
    run[FIRST_UPDATED], run[RECOMPUTING] = 0, 0
    zero, begin, checkpoint = ends[0], ends[1], ends[2]
    neurons, arrivals, end = ends[3], ends[4], ends[5]
    while trial < last:
        if n < 0:
            n = zero
            _run(operations, zero, begin, table, trial, n)
        while n < n_steps:
            if n % segment == 0:
                _run(operations, begin, checkpoint, table, trial, n)
            stop = min(n - n % segment + segment, n_steps)
            n, short = _stretch(
                trial, n, stop, operations, checkpoint, neurons, arrivals, table, run
            )
            if short:
                run[TRIAL], run[STEP] = trial, n
                return True
        _run(operations, arrivals, end, table, trial, n_steps)
        trial, n = trial + 1, -1
    run[TRIAL], run[STEP] = trial, n
    return False


@njit(**_INNER)
def _recompute(n0, n1, trial, operations, ends, table, run):
    """Recompute a segment and record its states, from the first step whose spikes arrive in it."""
    warm = max(n0 - run[LONGEST], 0)
    run[N0], run[N1], run[FIRST_UPDATED], run[RECOMPUTING] = n0, n1, n0, 1
    _run(operations, ends[2], ends[3], table, trial, n0)
    _run(operations, ends[3], ends[4], table, trial, warm)
    _stretch(trial, warm, n1, operations, ends[4], ends[5], ends[6], table, run)
    _run(operations, ends[6], ends[7], table, trial, n1)


@njit(**_INNER)
def _segment_back(trial, operations, neurons, arrivals, end, table, run):
    """Run the adjoint of a segment.

    The operations neurons..arrivals go back through the beginning of step n and the end of the one
    before, those from there to `end` through what arrives in that one.
    """
    first = run[N0]
    if first == run[N1]:
        return
    for n in range(run[N1], first, -1):
        _run_back(operations, neurons, arrivals, table, trial, n)
        _run_back(operations, arrivals, end, table, trial, n - 1)
    _run_back(operations, neurons, arrivals, table, trial, first)


@njit(**_OPTIONS)
def backward(last, operations, ends, table, run):
    """Run the adjoint of trials up to `last`; return whether an array is too short for one.

    Where states are read, the trial is recomputed from its checkpoints, segment by segment.  With
    the number LOOKBACK the segment before the current one is known, too: upstrokes may begin in it.
    """
    n_steps, segment = run[STEPS_OF_TRIAL], run[SEGMENT]
    latest = (n_steps - 1) // segment * segment
    if run[STEP] < 0:
        _run(operations, ends[0], ends[1], table, run[TRIAL], n_steps)
        run[STEP] = 0
    while run[TRIAL] < last:
        trial = run[TRIAL]
        if _run(operations, ends[1], ends[2], table, trial, n_steps):
            return True
        n0 = latest
        while n0 >= (-segment if run[LOOKBACK] else 0):
            n1 = min(n0 + segment, n_steps)
            run[N0], run[N1] = n0, n1
            if n0 >= 0 and ends[5] > ends[4]:
                _recompute(n0, n1, trial, operations, ends, table, run)
            if n1 == n_steps:
                _run(operations, ends[7], ends[8], table, trial, n_steps)
            if run[LOOKBACK]:
                run[N0], run[N1] = n1, min(n1 + segment, n_steps)
            _segment_back(trial, operations, ends[8], ends[9], ends[10], table, run)
            _run(operations, ends[10], ends[11], table, trial, n0)
            n0 -= segment
        _run(operations, ends[11], ends[12], table, trial, ends[0])
        run[TRIAL] += 1
    return False
