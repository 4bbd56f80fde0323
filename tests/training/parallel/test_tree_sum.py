"""Sums over chunks: the same bits whoever holds which chunk."""

import queue
import threading

import numpy as np
import pytest

from brian_eventprop.training.parallel.tree_sum import shares, tree_sum


def summed(chunks, n_ranks):
    """Sum chunks with as many threads as ranks, which send through queues."""
    channels = {(a, b): queue.Queue() for a in range(n_ranks) for b in range(n_ranks)}
    owned = shares(len(chunks), n_ranks)
    owners = [rank for rank, share in enumerate(owned) for _ in share]
    found = {}

    def work(rank):
        found[rank] = tree_sum(
            {chunk: chunks[chunk] for chunk in owned[rank]}, owners, rank,
            lambda row, to: channels[rank, to].put(row),
            lambda source: channels[source, rank].get(timeout=20),
        )  # fmt: skip

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(n_ranks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert all(found[rank] is None for rank in range(1, n_ranks))
    return found[0]


@pytest.mark.parametrize("n_chunks", [1, 2, 3, 5, 8, 13])
def test_any_number_of_ranks_gives_the_same_bits(n_chunks):
    random = np.random.default_rng(n_chunks)
    chunks = list(
        random.normal(size=(n_chunks, 50)) * 10.0 ** random.integers(-8, 8, (n_chunks, 1))
    )
    alone = summed(chunks, 1)
    np.testing.assert_allclose(alone, np.sum(chunks, axis=0), rtol=1e-9)
    for n_ranks in range(2, n_chunks + 1):
        np.testing.assert_array_equal(summed(chunks, n_ranks), alone)


def test_chunks_without_trials_add_nothing():
    rows = [np.array([1.0]), None, None, np.array([2.0]), None]
    for n_ranks in (1, 2, 5):
        assert summed(rows, n_ranks) == 3.0
    assert summed([None, None], 2) is None


@pytest.mark.parametrize("n_chunks, n_ranks", [(8, 3), (7, 7), (5, 2)])
def test_every_chunk_has_one_owner(n_chunks, n_ranks):
    found = [chunk for share in shares(n_chunks, n_ranks) for chunk in share]
    assert found == list(range(n_chunks))
    sizes = [len(share) for share in shares(n_chunks, n_ranks)]
    assert max(sizes) - min(sizes) <= 1
