"""What a user writes in ``train=[...]`` for a variable that follows from others."""

from __future__ import annotations

import numpy as np
from brian2 import Quantity
from brian2.core.variables import VariableView

from brian_eventprop._checks import plain_numbers
from brian_eventprop._units import quantity


class Expression:
    """A variable as a function of other trained quantities, for ``train=[...]``.

    Weights that share a kernel, delays from positions or per target neuron, positive weights: the
    variable is computed from the expression before every run, and its gradient is taken back to
    what it is made of.  Only that is trained.

    Parameters
    ----------
    variable : `VariableView` or str
        What is computed: ``s.w``, ``s.delay``, ``group.tau``.
    expression : str
        In Brian2's syntax, with units.  It may use the variables of the object that has the
        variable (for Synapses also ``i``, ``j``, and with ``_pre`` and ``_post`` those of the
        neurons), external constants, and the quantities given here.
    **quantities : array or Quantity
        New trained quantities of any shape, by name, with their start values.  One with several
        entries is used with an index, ``k[offset]`` or ``k[row, column]``, which is a
        whole-numbered expression of what is not trained.  The same name in several expressions is
        the same quantity, and must have the same values.

    Raises
    ------
    ValueError
        When the model is built: if a name is not known, or an index is out of range.
    DimensionMismatchError
        When the model is built: if units do not fit.

    Notes
    -----
    Trained are the given quantities and those variables and constants in the expression that are in
    ``train=[...]`` themselves, such as ``group.x`` for ``x_pre``; all else in it is constant.
    ``model.parameters["k"]`` finds a quantity by its name.  ``write_back`` writes the computed
    variable into the Brian2 object.  A delay that the expression makes negative is refused: keep it
    from that by ``clip(..., 0*ms, inf*ms)``, or by bounds of the optimiser.

    Examples
    --------
    Every target neuron sees the same kernel, at its own place:

    >>> from brian2 import *
    >>> import brian_eventprop as bep
    >>> start_scope()
    >>> source = SpikeGeneratorGroup(5, [0, 2, 4], [1, 2, 3]*ms)
    >>> target = NeuronGroup(3, "dv/dt = -v/(10*ms) : 1", method="exact")
    >>> s = Synapses(source, target, "w : 1", on_pre="v_post += w")
    >>> s.connect("i >= j and i < j + 3")
    >>> shared = bep.Expression(s.w, "k[i - j]", k=[1.0, 2.0, 3.0])
    >>> model = bep.EventPropModel([source, target, s], train=[shared], duration=10*ms,
    ...                            loss=bep.Sum(bep.Final(target, "v")), solver="event")
    >>> result = model.run()
    >>> model.gradient()["k"].round(3)
    array([0.856, 0.449, 0.946])
    """

    def __init__(self, variable, expression: str, **quantities):
        if not isinstance(variable, VariableView | str):
            raise TypeError(
                f"Expression needs a variable such as s.w or s.delay first, not {variable!r}"
            )
        if not isinstance(expression, str) or not expression.strip():
            raise TypeError(
                f"Expression needs what the variable is as a string, such as 'k[i - j]', not "
                f"{expression!r}"
            )
        self.variable, self.expression = variable, expression.strip()
        self.quantities = {name: _checked(name, value) for name, value in quantities.items()}

    def __repr__(self) -> str:
        name = getattr(self.variable, "name", self.variable)
        more = "".join(f", {q}={np.shape(value)}" for q, value in self.quantities.items())
        return f"Expression({name}, {self.expression!r}{more})"


def _checked(name: str, value) -> Quantity:
    """Return the start values of a quantity, at least one number."""
    numbers = np.atleast_1d(plain_numbers(value, f"the quantity '{name}'"))
    if not numbers.size or not np.all(np.isfinite(numbers)):
        raise ValueError(f"the quantity '{name}' must have finite start values")
    return quantity(numbers, getattr(value, "dim", None))
