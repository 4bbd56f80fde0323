"""The inverse of a normal matrix, as its covariances need it."""

from __future__ import annotations

import numpy as np

#: Directions with a singular value below this part of the largest one are not determined.
_NOTHING = 1e-10


def inverse_of_normal(root: np.ndarray) -> np.ndarray:
    """Return the inverse of RᵀR without forming it, which would lose half of the digits.

    Parameters
    ----------
    root : array (n_rows, n_parameters)
        R.

    Returns
    -------
    array (n_parameters, n_parameters)
        Infinite on the diagonal where a parameter is not determined.

    Examples
    --------
    >>> inverse_of_normal(np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])).round(4)
    array([[ 0.8333, -0.5   ],
           [-0.5   ,  0.5   ]])
    """
    scale = np.linalg.norm(root, axis=0)
    scale[scale == 0] = 1.0
    # with fewer rows than columns, all directions are wanted, also those that no row determines
    wide = root.shape[0] < root.shape[1]
    _, singular, rows = np.linalg.svd(root / scale, full_matrices=wide)
    singular = np.append(singular, np.zeros(len(rows) - len(singular)))
    known = singular > _NOTHING * max(singular.max(initial=0.0), 1e-300)
    inverse = (rows[known].T / singular[known] ** 2) @ rows[known]
    inverse /= np.outer(scale, scale)
    lost = np.any(np.abs(rows[~known]) > 1e-6, axis=0)
    inverse[lost, lost] = np.inf
    return inverse
