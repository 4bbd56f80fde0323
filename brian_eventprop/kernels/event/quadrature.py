"""Gauss-Legendre quadrature on [0, 1] with 3 and with 6 nodes, for the event solver.

``PARTIAL[order, i, k]`` integrates from node i to 1: the weight of node k.
"""

from __future__ import annotations

import numpy as np

NODES, WEIGHTS = np.zeros((2, 6)), np.zeros((2, 6))
PARTIAL = np.zeros((2, 6, 6))

for _order, _n in enumerate((3, 6)):
    _x, _w = np.polynomial.legendre.leggauss(_n)
    NODES[_order, :_n], WEIGHTS[_order, :_n] = (1 + _x) / 2, _w / 2
    for _k in range(_n):
        # the polynomial that is 1 at node k and 0 at the others, integrated
        _others = np.delete(NODES[_order, :_n], _k)
        _basis = np.poly1d(_others, r=True) / np.prod(NODES[_order, _k] - _others)
        _total = _basis.integ()
        PARTIAL[_order, :_n, _k] = _total(1.0) - _total(NODES[_order, :_n])
