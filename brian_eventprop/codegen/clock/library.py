"""Operations of the clock solver that no equation is part of: spikes, rings, tiles, queues.

Each is the body of a function; see `codegen.expr.operations`.  `source_` stands for the arrays of
the group or input that sends, `target_` for those of the group that receives.
"""

from __future__ import annotations

# ---- spikes that are known ----
#: The spikes of the current step among those of a trial.
KNOWN_SPIKES = """
count = source_table[COUNT]
source_table[FIRST] = count
while count < source_table[END] and source_steps[count] == n:
    count += 1
source_table[COUNT] = count
source_table[NEXT] = source_steps[count] if count < source_table[END] else -1
"""

INPUT_BEGIN = """
begin, end = source_ptr[trial], source_ptr[trial + 1]
source_table[BEGIN], source_table[COUNT] = begin, begin
end = before(source_steps, begin, end, n_steps)
source_table[END] = end
source_table[NEXT] = source_steps[begin] if begin < end else -1
"""

INPUT_BEGIN_BACK = """
begin, end = source_ptr[trial], source_ptr[trial + 1]
end = before(source_steps, begin, end, n_steps)
source_table[BEGIN], source_table[END] = begin, end
source_table[LOWER], source_table[UPPER] = end, end
source_table[PREVIOUS] = source_steps[end - 1] if begin < end else -1
"""

#: The first spike that may have arrivals in a segment.
FIRST_SPIKE = """
source_table[COUNT] = before(source_steps, source_table[BEGIN], source_table[UPPER], n)
"""

FIRST_KNOWN_SPIKE = """
count = before(source_steps, source_table[BEGIN], source_table[END], n)
source_table[COUNT] = count
source_table[NEXT] = source_steps[count] if count < source_table[END] else -1
"""

INPUT_STEP_BACK = """
upper = source_table[LOWER]
lower = upper
while lower > source_table[BEGIN] and source_steps[lower - 1] == n:
    lower -= 1
source_table[LOWER], source_table[UPPER] = lower, upper
source_table[PREVIOUS] = source_steps[lower - 1] if lower > source_table[BEGIN] else -1
"""

COUNT_SPIKES = "source_counts[trial] = source_table[COUNT] - source_table[BEGIN]"

SORT = """
sort_by_neuron(source_neurons, source_table[BEGIN], source_table[END], source_order, source_bound)
"""

# ---- forward pass ----
CHECKPOINT = """
for s in range(x.shape[0]):
    for j in range(x.shape[1]):
        check[trial, n // segment, s, j] = x[s, j]
"""

_BASE = "base = (n & (target_shape[1] - 1)) * target_shape[0]\n"

SEND_ROWS = (
    _BASE
    + """\
scatter_rows(
    target_ring, base, target_shape[0], target_shape[5], row_delay, weights, ROW,
    source_neurons, source_table[FIRST], source_table[COUNT],
)
"""
)

SEND = (
    _BASE
    + """\
scatter(
    target_ring, base, off, weights, ROW, rows,
    source_neurons, source_table[FIRST], source_table[COUNT],
)
"""
)

ADD_DRIVE = """
n_spikes = source_table[END] - source_table[BEGIN]
rows_of_record(source_order, n_spikes, source_steps, target_shape[6], source_base)
add_input_drive(
    target_drive, source_bound, source_base, tiles, target_shape[3], tile_off, weights, ROW, FRESH
)
"""

# ---- backward pass ----
QUEUE_BEGIN_BACK = """
fill(head, -1)
needed = waiting(source_neurons, source_table[BEGIN], source_table[END], rows)
if needed > entry.shape[0]:
    table[NEEDED] = needed
    return 1
queue(
    source_steps, source_neurons, source_table[BEGIN], source_table[END], rows, steps,
    head, tail, entry, 0,
)
"""

QUEUE_BEGIN = """
fill(head, -1)
table[COUNT] = 0
"""

#: Where the states of synapses before the events of each step are recorded.
FIRST_EVENTS = """
total = event_ptr[trial]
for step in range(n_steps):
    first_event[step] = total
    e = head[step]
    while e >= 0:
        r = entry[e, 1]
        total += begins[r + 1] - begins[r]
        e = entry[e, 0]
first_event[n_steps] = total
"""

EVENTS_BEGIN = "event_table[BEGIN] = event_table[COUNT]"

COUNT_EVENTS = "event_counts[trial] = event_table[COUNT] - event_table[BEGIN]"

SYNAPSES_BEGIN = "copy_in(synaptic, initial)"

SYNAPSES_END = "copy_in(final[trial], synaptic)"

SYNAPSES_BEGIN_BACK = "lam_synaptic[:, :] = 0"

SYNAPSES_BEGIN_BACK_SEEDED = "copy_in(lam_synaptic, seeds[trial])"

SYNAPSES_END_BACK = """
for c in range(lam_synaptic.shape[0]):
    for k in range(lam_synaptic.shape[1]):
        gradient[c, k] += lam_synaptic[c, k]
"""

COUNT_DUE = """
for step in range(n_steps):
    e = head[step]
    while e >= 0:
        r = entry[e, 1]
        target_due[step] += begins[r + 1] - begins[r]
        e = entry[e, 0]
"""

CHECK_DUE = """
most = 0
for step in range(n_steps):
    most = max(most, due[step])
if most > stack.shape[0]:
    table[NEEDED] = most
    return 1
"""

RECORD_END = """
last = (n1 - n0) * x.shape[0]
for s in range(x.shape[0]):
    for j in range(x.shape[1]):
        record[last + s, j] = x[s, j]
"""

KEEP_RECORD = "copy_in(record, former)"

ADD_TIMES = (
    _BASE
    + """\
add_d_time(
    source_d_time, source_table[BEGIN], target_d_arrivals, base, off, weights, ROW, rows,
    source_neurons, source_table[LOWER], source_table[UPPER],
)
"""
)

ADD_TIMES_OF_ROWS = """
add_d_time_of_rows(
    source_d_time, source_table[BEGIN], delay_gradient, target_history, source_steps, row_delay,
    weights, ROW, source_neurons, source_table[LOWER], source_table[UPPER],
)
"""

ACCUMULATE = (
    _BASE
    + """\
add_arrivals_and_times(
    source_d_time, source_table[BEGIN], target_adjoints, base, off, weights, ROW, gradient, rows,
    source_neurons, source_table[LOWER], source_table[UPPER],
)
"""
)

ACCUMULATE_INPUTS = (
    _BASE
    + """\
if with_inputs:
    add_arrivals_and_times(
        source_d_time, 0, target_adjoints, base, off, weights, ROW, gradient, rows,
        source_neurons, source_table[LOWER], source_table[UPPER],
    )
else:
    add_arrivals(
        target_adjoints, base, off, weights, ROW, gradient, rows,
        source_neurons, source_table[LOWER], source_table[UPPER],
    )
"""
)

ADD_INITIAL = """
for s in range(lam.shape[0]):
    for j in range(lam.shape[1]):
        gradient[s, j] += lam[s, j]
"""

CLEAR_AFTER_END = "clear_after(record, n_steps, shape[6], shape[3])"

COLLECT_ROWS = """
collect_rows(target_history, source_order, source_bound, source_steps, row_delay, gradient)
"""

ADD_TIMES_OF_INPUT_ROWS = """
if with_inputs or DELAYS:
    add_d_time_of_rows(
        source_d_time, 0, delay_gradient, target_history, source_steps, row_delay, weights, ROW,
        source_neurons, source_table[BEGIN], source_table[END],
    )
"""

COLLECT = """
n_spikes = source_table[END] - source_table[BEGIN]
rows_of_record(source_order, n_spikes, source_steps, target_shape[6], source_base)
collect(target_adjoints, source_bound, source_base, tiles, target_shape[3], tile_off, gradient)
"""

ADD_TIMES_OF_DRIVE = """
if with_inputs:
    add_d_time_of_inputs(
        source_d_time, target_record, source_order, source_bound, source_base, tiles,
        target_shape[3], tile_off, weights, ROW,
    )
"""

ADD_TIMES_OF_INPUTS = """
if with_inputs:
    for k in range(source_table[BEGIN], source_table[END]):
        i = source_neurons[k]
        base = source_steps[k] << target_shape[6]
        source_d_time[k] += d_time_of_row(
            target_record, base, record_off, weights, ROW, rows[i], rows[i + 1]
        )
"""
