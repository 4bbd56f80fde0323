"""What `check_gradient` has found: a verdict for each array, printed as a table."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

AGREES, DIFFERS, UNDECIDED = "agrees", "DIFFERS", "UNDECIDED"

#: How a verdict is printed, if not by its name.
WORDS = {UNDECIDED: "cannot tell"}


@dataclass(frozen=True)
class ArrayCheck:
    """What was found for one trained array.

    Attributes
    ----------
    name : str
    size : int
        Number of entries of the array.
    entries : array
        The entries that were compared.
    adjoint, differences : array
        Both derivatives of these entries, in SI units.
    error : float
        Worst difference, relative to the largest derivative of the array; NaN if anything is not
        finite.
    verdict : {'agrees', 'DIFFERS', 'UNDECIDED'}
        Undecided, printed as "cannot tell", are derivatives of which no difference is exact enough,
        or where the time grid may explain what is apart; see `check_gradient`.
    explanation : str
        Why the derivatives may differ, or what could not be told.
    exact_to : float
        What the differences themselves may be wrong by, relative to the largest derivative.
    """

    name: str
    size: int
    entries: np.ndarray
    adjoint: np.ndarray
    differences: np.ndarray
    error: float
    verdict: str
    explanation: str = ""
    exact_to: float = np.nan

    def __repr__(self) -> str:
        word = WORDS.get(self.verdict, self.verdict)
        return f"ArrayCheck({self.name}: {word}, worst error {self.error:.1e})"

    @property
    def ok(self) -> bool:
        """Whether adjoint and differences agree."""
        return self.verdict == AGREES


@dataclass(frozen=True)
class GradientReport:
    """The outcome of `check_gradient`; prints as a table.

    Attributes
    ----------
    arrays : tuple of ArrayCheck
    tolerance : float
    compared : str
        What was compared with what.
    notes : tuple of str
        What the user should know besides.
    """

    arrays: tuple[ArrayCheck, ...]
    tolerance: float
    compared: str
    notes: tuple[str, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """Whether every array agrees."""
        return all(array.ok for array in self.arrays)

    @property
    def verdict(self) -> str:
        """The verdict on the whole, which is the worst of the arrays'."""
        verdicts = {array.verdict for array in self.arrays}
        return next((v for v in (DIFFERS, UNDECIDED) if v in verdicts), AGREES)

    def __bool__(self) -> bool:
        return self.ok

    def __repr__(self) -> str:
        arrays = ", ".join(f"{a.name} {WORDS.get(a.verdict, a.verdict)}" for a in self.arrays)
        return f"GradientReport({arrays})"

    def __str__(self) -> str:
        width = max(len(array.name) for array in self.arrays)
        title = f"{'array':{width}}  entries     worst error  exact to  verdict"
        lines = [self.compared, title]
        for a in self.arrays:
            counted = f"{len(a.entries)} of {a.size}"
            numbers = f"{a.error:11.1e}  {a.exact_to:8.1e}"
            lines.append(
                f"{a.name:{width}}  {counted:<10}  {numbers}  {WORDS.get(a.verdict, a.verdict)}"
            )
            if a.explanation:
                lines.append(f"{'':{width}}  {a.explanation}")
        return "\n".join([*lines, *self.notes])
