"""Long straight-line code cut into functions computes the same."""

import random

import numpy as np
import pytest

from brian_eventprop.codegen.expr import straight_line


def program(seed, n):
    """Random assignments to names, some of them to names that are there already."""
    rng = random.Random(seed)
    names, lines = ["a", "b", "c"], []
    for k in range(n):
        one, two, three = (rng.choice(names) for _ in range(3))
        expression = rng.choice(
            [f"{one} * {two} - {three}", f"np.sin({one}) + {two}", f"({one} if {two} > 0 else 0.5)"]
        )
        if rng.random() < 0.3:
            lines.append(f"{rng.choice(names)} += {expression} * 0.25")
        else:
            target = rng.choice([f"x{k}", rng.choice(names)])
            lines.append(f"{target} = {expression}")
            names.append(target)
    return lines, sorted(rng.sample(sorted(set(names)), 3))


@pytest.mark.parametrize("seed", range(20))
def test_pieces_compute_the_same(seed, monkeypatch):
    monkeypatch.setattr(straight_line, "PIECE", 120)
    lines, wanted = program(seed, 40)
    found = straight_line.pieces(lines, wanted)
    assert len(found) > 3
    functions, start = {"np": np}, {"a": 0.3, "b": -0.7, "c": 0.2}
    for k, piece in enumerate(found):
        exec(piece.function(f"part{k}", ""), functions)
    whole, parts = {"np": np, **start}, {**functions, **start}
    exec("\n".join(lines), whole)
    exec("\n".join(piece.call(f"part{k}") for k, piece in enumerate(found)), parts)
    assert [parts[name] for name in wanted] == [whole[name] for name in wanted]


def test_what_nobody_reads_is_left_out():
    found = straight_line.pieces(["x = a + 1", "y = b + 1"], ["x"])
    assert [piece.arguments for piece in found] == [("a", "b")]
    assert [piece.results for piece in found] == [("x",)]
