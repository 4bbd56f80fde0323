"""What one sees of a model."""

from __future__ import annotations

from collections.abc import Callable

from brian_eventprop.errors import UnsupportedError
from brian_eventprop.model.display.summary import Summary, summary_of
from brian_eventprop.model.equations import Equations
from brian_eventprop.runtime.solver import Solver


class DisplayedModel:
    """Equations, kernels and tables of a model."""

    @property
    def equations(self) -> Equations:
        """The network's equations and the adjoint derived from them: LaTeX in a notebook."""
        return Equations(self.system)

    @property
    def runtime(self) -> Solver:
        """What runs the network; `plan` and `codegen` have made its `module`."""
        return self._solver

    @property
    def source(self) -> str:
        """The generated kernels."""
        return self._solver.source

    @property
    def functions(self) -> dict[str, Callable]:
        """The generated functions by name, once they have been called.

        With ``backend='interpreter'`` they are plain Python functions, in which a debugger can
        stop.  Those of the clock solver are called after the object and what they do.

        Examples
        --------
        >>> from brian2 import *
        >>> import brian_eventprop as bep
        >>> start_scope()
        >>> neuron = NeuronGroup(1, "dv/dt = -v/(10*ms) : 1", method="exact", name="neuron")
        >>> neuron.v = 1.0
        >>> model = bep.EventPropModel([neuron], train=[neuron.v], duration=10*ms,
        ...                            loss=bep.Sum(bep.Final(neuron, "v")), backend="interpreter")
        >>> result = model.run()
        >>> gradients = model.gradient()
        >>> model.functions["neuron.step_back"].__name__
        'run_step_back'
        """
        if self.backend == "cuda":
            raise UnsupportedError(
                "model.functions: kernels for a GPU are no functions that Python can call. Use "
                "backend='cpu' or backend='interpreter'."
            )
        return self._solver.functions

    def summary(self) -> Summary:
        """Return tables of the groups, projections and trained variables, to be printed.

        Examples
        --------
        >>> from brian2 import *
        >>> import brian_eventprop as bep
        >>> start_scope()
        >>> neuron = NeuronGroup(2, "dv/dt = -v/(10*ms) : 1", method="exact", name="cells")
        >>> neuron.v = [1, 2]
        >>> model = bep.EventPropModel([neuron], train=[neuron.v], duration=10*ms,
        ...                            loss=bep.Sum(bep.Final(neuron, "v")))
        >>> print(model.summary())
        EventPropModel: 10 ms with solver='clock', backend='cpu', 2 trained values
        <BLANKLINE>
        group  neurons  states  spikes
        -----  -------  ------  ------
        cells  2        v       none
        <BLANKLINE>
        trained  values  range
        -------  ------  ------
        cells.v  2       1 to 2
        """
        return summary_of(self)

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()

    def __repr__(self) -> str:
        trained = ", ".join(self.parameters)
        return f"EventPropModel({len(self.spec.groups)} groups, trains {trained})"
