"""Passes over all synapses of a pathway with batched arrivals, before and after the trials.

NumPy goes over them once per operation, a dozen times.
See `runtime.event.batched` for what the tables hold.
"""

from __future__ import annotations

import numpy as np

from brian_eventprop.runtime.array_passes import compiled

#: Delays in whole windows are kept in a byte; longer ones are not looked up there.
LARGEST = 255


@compiled
def fill_products(exponentials, amounts, within, width, scale, sided, terms, products, ticks):
    """Fill exp(-K_r delay) synapse by synapse, its products with the amounts, and the ticks.

    ``within`` are the delays and ``scale`` the ticks of a window, ``sided`` whether the lowest bit
    of a delay tells the sign of the amount.
    """
    for k in range(np.uint64(amounts.shape[0])):
        for c in range(np.uint64(terms.shape[1])):
            terms[k, c] = exponentials[c, k]
            products[k, c] = amounts[k] * exponentials[c, k]
        tick = np.int32(within[k] / width * scale)
        ticks[k] = tick & ~np.int32(1) | np.int32(amounts[k] < 0) if sided else tick


@compiled
def fill_by_target(into, delays, amounts, width, duration, late, backs):
    """Fill delays and amounts by target, and the delays in whole windows.

    Returns the longest of these, and whether one is so near to the next window that rounding may
    take an arrival there.
    """
    most, near = 0, False
    for n in range(np.uint64(into.shape[0])):
        k = np.uint64(into[n])
        late[n, np.uint64(0)], late[n, np.uint64(1)] = delays[k], amounts[k]
        windows = min(delays[k], duration) / width
        back = int(max(windows - 1e-6, 0.0))
        near |= windows + 1e-6 >= back + 1
        most = max(most, back)
        backs[n] = min(back, LARGEST)
    return most, near


@compiled
def fill_gradients(sums, terms, amounts, rates, by_amount, by_delay):
    """Fill dL/d(amount) and dL/d(delay) from the sums over each synapse's arrivals."""
    for k in range(np.uint64(amounts.shape[0])):
        total, d_time = 0.0, 0.0
        for c in range(np.uint64(terms.shape[1])):
            part = sums[k, c] * terms[k, c]
            total += part
            d_time += part * rates[c]
        by_amount[k], by_delay[k] = total, -amounts[k] * d_time


@compiled
def move_into(total, own):
    """Add an array to another one, and leave it zero."""
    for k in range(np.uint64(own.shape[0])):
        total[k] += own[k]
        own[k] = 0.0
