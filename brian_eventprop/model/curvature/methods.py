"""What a model has of second derivatives."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from brian_eventprop.model.curvature.gauss_newton import (
    GaussNewton,
    gauss_newton_of,
    loss_curvature,
    unit_directions,
)
from brian_eventprop.model.curvature.hessian import (
    HessianProduct,
    check_differentiable,
    hessian_product,
)
from brian_eventprop.model.jvp import direction_of

#: How the Jacobian of the readouts may be found.
MODES = ("reverse", "forward")


class CurvedModel:
    """What differentiates twice."""

    def hvp(
        self, direction: Mapping, data=None, targets=None, traces: Mapping | None = None
    ) -> HessianProduct:
        """Return the product of the Hessian of the mean loss with a direction.

        It is the derivative of the exact gradient along the direction, by central differences at
        falling steps, extrapolated (Ridders 1982): as exact as its ``error`` says, some eight to
        eleven digits, for about a dozen gradients.  Steps in which a spike appears or vanishes, or
        an arrival and a spike of its neuron change their order (there the gradient jumps), are
        left out.  The model, its last run and its parameters stay as they are.

        Parameters
        ----------
        direction : dict
            How trained variables move: quantities in the shape of the variable, by Brian2's views
            or names.  All others stand still.
        data, targets, traces
            The batch, as in `run`; by default that of the last run.

        Returns
        -------
        HessianProduct
            Looked up as gradients are; ``error`` says how exact each part is.

        Raises
        ------
        UnsupportedError
            On the time grid, for neurons that spike and for delays: there the gradient jumps where
            an event moves to the next time step.  And for surrogate gradients.
        FloatingPointError
            If a spike appears or vanishes, or two events change their order, within every step.

        Examples
        --------
        >>> from brian2 import *
        >>> import brian_eventprop as bep
        >>> start_scope()
        >>> neuron = NeuronGroup(2, "dv/dt = -v/tau : 1", method="exact", name="curved")
        >>> neuron.v, tau = [1.0, 2.0], 10*ms
        >>> model = bep.EventPropModel([neuron], train=[neuron.v], duration=10*ms, solver="event",
        ...                            loss=bep.Sum(bep.Final(neuron, "v**3")),
        ...                            backend="interpreter")
        >>> result = model.run()
        >>> model.hvp({neuron.v: [1.0, 0.0]})[neuron.v].round(6)      # 6 v exp(-3 t/tau)
        array([0.298722, 0.      ])
        """
        given = self._batch_of(data, targets, traces)
        trained = self.parameters
        shapes = {key: trained.shape(key) for key in trained.keys}
        found = direction_of(direction, trained.trained_key, shapes, self._network.dimensions, {})
        return hessian_product(self, found.values, given)

    def gauss_newton(
        self,
        data=None,
        targets=None,
        traces: Mapping | None = None,
        *,
        mode: str = "reverse",
        units: Mapping | None = None,
    ) -> GaussNewton:
        """Return the Gauss-Newton matrix of the mean loss, for small problems.

        It is Jᵀ H J, with the exact Jacobian J of the readouts and the Hessian H of the loss in
        them: what is left of the Hessian where the readouts are linear in the parameters, or fit
        the targets.  Unlike the Hessian it has no directions in which a convex loss falls, and it
        exists on the time grid, too.

        Parameters
        ----------
        data, targets, traces
            The batch, as in `run`; by default that of the last run.
        mode : {'reverse', 'forward'}
            How J is found: by a backward pass for each value of each trial, `jacobian`, or by
            forward mode for each parameter, `jvp`.  Both are exact; forward mode takes less where
            there are far fewer parameters than values, but is interpreted.
        units : dict, optional
            Units of the vector of parameters, as for `Parameters.flatten`.

        Returns
        -------
        GaussNewton
            With ``matrix``, and ``covariance()`` for error bars.

        Raises
        ------
        UnsupportedError
            For surrogate gradients, and in forward mode for what `jvp` does not have.

        Examples
        --------
        >>> from brian2 import *
        >>> import brian_eventprop as bep
        >>> start_scope()
        >>> neuron = NeuronGroup(2, "dv/dt = -v/tau : 1", method="exact", name="fitted")
        >>> neuron.v, tau = [1.0, 2.0], 10*ms
        >>> model = bep.EventPropModel([neuron], train=[neuron.v, "tau"], duration=10*ms,
        ...                            loss=bep.MeanSquaredError(bep.Final(neuron, "v")),
        ...                            backend="interpreter")
        >>> result = model.run(targets=[[0.4, 0.7]])
        >>> reverse, forward = (model.gauss_newton(mode=m).matrix for m in ("reverse", "forward"))
        >>> bool(np.allclose(reverse, forward, rtol=1e-11, atol=0))
        True
        """
        if mode not in MODES:
            raise ValueError(f"mode must be one of {MODES}, not {mode!r}")
        check_differentiable(self)
        run = self._run_of(data, targets, traces)
        _, known = self._ran
        found, factors = run.result, self.parameters.units(units)
        if mode == "reverse":
            jacobian = [gradients.flatten(units) for gradients in self.jacobian()]
        else:
            each = [self.jvp(d).readout for d in unit_directions(self.parameters, factors)]
            jacobian = [np.stack(columns, axis=-1) for columns in zip(*each, strict=True)]
        curvature = loss_curvature(self.loss, found.readout, known)
        return gauss_newton_of(jacobian, curvature, factors)
