"""The one object a user holds: a Brian2 network that knows its gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import cast
from weakref import ref

import numpy as np
from brian2 import second
from brian2.core.namespace import get_local_namespace

from brian_eventprop._checks import whole_number
from brian_eventprop._units import to_seconds, to_steps
from brian_eventprop.adjoint import derive
from brian_eventprop.errors import UnsupportedError
from brian_eventprop.expressions import Expression, tied_variables, with_quantities
from brian_eventprop.losses.base import evaluate
from brian_eventprop.messages.compiling import (
    announces_compiling,
    compiling_announced,
    part_of,
)
from brian_eventprop.model import vjp
from brian_eventprop.model.batches.batch import Batch, Run
from brian_eventprop.model.batches.batching import BatchedModel
from brian_eventprop.model.building.arguments import (
    check_device,
    items,
    objects_of,
    of_equations,
    readouts_of,
)
from brian_eventprop.model.building.mentions import mention_monitors
from brian_eventprop.model.building.wiring import WiredModel
from brian_eventprop.model.building.written import WrittenModel
from brian_eventprop.model.copying import CopiedModel
from brian_eventprop.model.curvature import CurvedModel
from brian_eventprop.model.display.views import DisplayedModel
from brian_eventprop.model.finite import mention_no_number, not_finite
from brian_eventprop.model.grazing import GrazingModel, GrazingReport, report_of
from brian_eventprop.model.jvp import Tangents, direction_of, tangents_of
from brian_eventprop.model.parameters import Parameters
from brian_eventprop.model.recording.record import Record
from brian_eventprop.model.recording.recorder import Recorder, of_trial, wanted
from brian_eventprop.model.results import Gradients, Result, Spikes
from brian_eventprop.reading import (
    Axonal,
    ReadValues,
    check_exclusive,
    check_influence,
    check_input_steps,
    ignored_objects,
    influences,
    key_of,
    read_network,
    timed_keys,
    with_axonal_delays,
    with_timed_values,
)
from brian_eventprop.reading.spec import Key, NetworkValues
from brian_eventprop.runtime import checked_options
from brian_eventprop.runtime.optimizer_steps import HostGradients
from brian_eventprop.runtime.solver import Backward, ForwardRun


class EventPropModel(
    BatchedModel, WiredModel, WrittenModel, DisplayedModel, CopiedModel, GrazingModel, CurvedModel
):
    """A Brian2 network with a loss and the exact gradient of the loss.

    Parameters
    ----------
    network : `Network`, list of Brian2 objects, optional
        The network; by default the objects that are visible where the model is made (Brian2's
        `collect`).  The objects are read, not changed, until `write_back`.  Trials begin at time 0
        with the states that they hold; a network that was run before is refused if Brian2 would go
        on otherwise.
    train : list
        What is trained: Brian2's own views of synaptic variables (``s.w``), delays (``s.delay``),
        parameters (``G.tau``) and initial values (``G.v``), a `TimedArray` of the equations, or the
        name of an external constant.  ``bep.Axonal(s.delay)`` trains one delay per sending neuron,
        ``bep.Expression(s.w, "k[i - j]", k=...)`` what a variable is computed from.  What cannot
        influence the loss is refused.
    loss : `Loss` or callable, optional
        What is minimised.  A callable ``f(readouts, targets)`` returns the losses (B,) and a tuple
        of their derivatives in each readout; it needs `readouts`.  Without a loss the model has
        readouts only, and ``gradient(of=[...])`` takes their derivatives back.
    duration : Quantity
        Duration of a trial.
    readouts : list of `Readout`, optional
        What a callable loss sees, or what is measured if there is no loss.
    solver : {'clock', 'event'}
        Brian2's time grid, or exact times.
    backend : {'cpu', 'cuda', 'interpreter'}
        What runs the generated code: machine code on the CPU or on a GPU, or the Python
        interpreter, which compiles nothing and in which a debugger can stop (see `functions`), but
        is slower by far: twenty to thirty times for a dozen neurons, more for many.
    precision : {'float64', 'float32'}
        Precision of the neurons' states; gradients are summed in double precision.  The event
        solver has double precision only.
    threads : int, optional
        Largest number of threads, by default one per core; the interpreter always has one.
        Results do not depend on it.
    tolerance : float, optional
        For ``solver='event'``: relative error of one integration step of equations that have no
        closed form, by default 1e-11.
    namespace : dict, optional
        Where external names are looked up; by default around the call, as in ``Network.run``.
    level : int, optional
        How many more calls up the names are looked up.
    trace_gradients : list, optional
        `TimedArray` objects, or their names in the equations, in whose values gradients are wanted:
        ``model.gradient().traces``, for each trial where `run` is given traces.
    ignore : list, optional
        Brian2 objects, or their names, that are no part of the dynamics and are left out, such as
        a `network_operation` that draws a progress bar.  What they do change in a run of Brian2 is
        not seen here.  What others depend on cannot be ignored.

    Raises
    ------
    UnsupportedError
        If the network uses a feature of Brian2 that has no gradient here; the message names it.

    Examples
    --------
    >>> from brian2 import *
    >>> import brian_eventprop as bep
    >>> start_scope()
    >>> source = SpikeGeneratorGroup(1, [0], [1]*ms)
    >>> neuron = NeuronGroup(1, "dv/dt = -v/(10*ms) : 1", method="exact")
    >>> s = Synapses(source, neuron, "w : 1", on_pre="v_post += w")
    >>> s.connect()
    >>> s.w, s.delay = 2.0, 3*ms
    >>> model = bep.EventPropModel([source, neuron, s], train=[s.w, s.delay],
    ...                            loss=bep.Sum(bep.Final(neuron, "v")), duration=10*ms)
    >>> result = model.run()
    >>> gradients = model.gradient()
    >>> float(gradients[s.w][0]) == result.loss/2.0
    True
    """

    def __init__(
        self,
        network=None,
        *,
        train: Sequence,
        loss=None,
        duration,
        readouts: Sequence | None = None,
        solver: str = "clock",
        backend: str = "cpu",
        precision: str = "float64",
        threads: int | None = None,
        tolerance: float | None = None,
        namespace: Mapping | None = None,
        level: int = 0,
        ignore: Sequence = (),
        trace_gradients: Sequence = (),
    ):
        check_device()
        threads, tolerance = checked_options(solver, backend, precision, threads, tolerance)
        self._options = precision, threads, tolerance
        if namespace is None:
            namespace = get_local_namespace(level=level + 1)
        network, everything = objects_of(network, level + 1)
        ignored = ignored_objects(everything, ignore)
        self.objects = [obj for obj in everything if id(obj) not in ignored]
        self.loss, self.readouts = loss, readouts_of(loss, readouts)
        self.duration = to_seconds(duration, "duration") * second
        self.spec, self._network = read_network(
            network, self.readouts, namespace, float(self.duration), ignore
        )
        train = items(train, "train", "s.w")
        for item in train:
            if isinstance(item, Axonal):
                key = self.key_of(item)
                self.spec, self._network = with_axonal_delays(self.spec, self._network, key)
        traced = items(trace_gradients, "trace_gradients", "I_ext")
        self._network = with_timed_values(self._network, [*train, *traced])
        self.n_steps = to_steps(float(self.duration), self.spec.dt)
        trained = self._read_expressions(train, namespace)
        in_kernels = self._in_kernels(trained)
        traced = timed_keys(traced, self._network)
        if not trained and not traced:
            raise ValueError("train=[...] is empty: name at least one variable, for example s.w")
        if solver == "clock":
            check_input_steps(self.spec, self._network.values, in_kernels)
        self.system = derive(self.spec, (*in_kernels, *traced))
        self.solver, self.backend = solver, backend
        self._namespace = of_equations(self.objects, namespace)
        with compiling_announced(lambda: part_of(self)):
            self._solver = self._solver_for(self.system, self._network)
        check_influence(in_kernels, self.spec)
        self._begin(trained)
        mention_monitors(self.objects)

    def _begin(self, trained: tuple[Key, ...]) -> None:
        """Hold the values that were read for the first run."""
        hold = self._solver.hold
        values = {key: np.array(v, dtype=float) for key, v in self._network.values.items()}
        self._values = hold(values)
        shapes = self._network.shapes
        self.parameters = Parameters(
            trained, self._values, self._network.dimensions, self.key_of, hold, shapes
        )
        #: The trained values of timed arrays are read anew in every run.
        self._timed_keys = [key for key in trained if key in shapes and not self._is_quantity(key)]
        self._last: Run | None = None
        self._ran: tuple[Batch, object] | None = None
        self._recorder: Recorder | None = None
        self._as_read = self._network
        self._coming: dict[str, Batch] = {}
        self._rewired: dict[str, None] = {}
        self._in_brian2 = ReadValues(self.spec, self._network, self.objects)
        self._own: dict[str, tuple] = {}

    def _read_expressions(self, train: Sequence, namespace: Mapping) -> tuple[Key, ...]:
        """Return the keys of all that is trained, with the quantities that expressions bring."""
        expressions = [item for item in train if isinstance(item, Expression)]
        free = [self.key_of(item) for item in train if not isinstance(item, Expression)]
        network = self._network
        self._tied = tied_variables(
            expressions, self.objects, free, {id(e): self.key_of(e.variable) for e in expressions},
            {key: len(v) for key, v in network.values.items()}, network.dimensions, namespace,
        )  # fmt: skip
        self._network = with_quantities(network, self._tied.quantities)
        return tuple(dict.fromkeys([*free, *(("", name) for name in self._tied.quantities)]))

    def _is_quantity(self, key: Key) -> bool:
        return not key[0] and key[1] in self._tied.quantities

    def _in_kernels(self, trained: tuple[Key, ...]) -> tuple[Key, ...]:
        """Return the keys whose gradients the solver must find: not what only expressions use."""
        if not self._tied:
            return trained
        influential, used = influences(self.spec), self._tied.used
        own = [key for key in trained if key in influential or key not in used]
        return (*own, *self._tied.keys)

    @property
    def expressions(self) -> dict[Key, str]:
        """The variables that are computed from others, and how; see `Expression`."""
        return self._tied.texts()

    def key_of(self, item) -> tuple[str, str]:
        """Return the key (owner, name) of a view, of the name of a constant or of a key."""
        item = item.delays if isinstance(item, Axonal) else item
        return key_of(item, self.spec, self._network)

    # ---- connections ----
    @property
    def network(self) -> NetworkValues:
        """The network that was read, with the connections that the next run has."""
        return self._network

    def values(self) -> dict[Key, np.ndarray]:
        """Return all numbers that the next run computes with, by key and in SI units."""
        self._compute()
        return {key: np.asarray(array) for key, array in self._values.items()}

    # ---- run and differentiate ----
    @announces_compiling("forward pass")
    def run(self, spikes=None, targets=None, traces: Mapping | None = None) -> Result:
        """Run a batch of trials.

        Parameters
        ----------
        spikes : `SpikeData` or dict of them, optional
            Input spikes, a dict by input group (or its name) if there are several.  By default the
            spikes that the `SpikeGeneratorGroup` itself holds now, one trial.  Spikes at or after
            the end of the trial are refused: `SpikeData.until` leaves them out.
        targets : array, optional
            What the loss compares with, one per trial; by default the targets of `spikes`.
        traces : dict, optional
            Values of the `TimedArray` objects in the equations, by their name there: arrays
            (trials, cells) or (trials, cells, columns) in the array's own unit and on its own time
            grid.  By default those that `spikes` carries, else the array's own in every trial.
            And for each `PoissonInput` (or its name) the numbers of spikes that it adds up in
            every time step of Brian2: whole numbers (trials, steps, neurons), or (1, steps,
            neurons) for all trials.  They must be given: nothing is drawn here.

        Returns
        -------
        Result
        """
        batch = self._coming.pop("batch", None)
        if batch is None or batch.given is not spikes or batch.traces is not traces:
            batch = self._batch(spikes, traces)
            self._mention_changes()
        if targets is None:
            targets = batch.targets
        self._check_targets(targets, batch.n_trials)
        self._last = None
        bound = self._compute()
        forward = self._forward(batch.prepared, batch.timed, batch.n_trials)
        loss = losses = derivatives = None
        if self.loss is None:
            mention_no_number(forward.readouts, "A readout")
        else:
            losses, derivatives = evaluate(self.loss, forward.readouts, targets)
            mention_no_number([losses], "The loss")
            loss = float(losses.mean())
        result = Result(loss, losses, forward.readouts, Spikes(forward.spikes))
        self._last = Run(batch, forward, result, derivatives, self.parameters.version, bound)
        self._ran = batch, targets
        return result

    def _compute(self) -> Mapping:
        """Compute the variables that are expressions; return the values that went into them."""
        bound = self._tied.bind(self._values)
        for key, array in self._tied.evaluate(bound).items():
            if not np.array_equal(array, self._values[key]):
                self._values[key] = array
        return bound

    def _forward(self, prepared, timed, n_trials: int) -> ForwardRun:
        more = (timed,) if timed else ()
        forward = self._solver.forward(self._values, prepared, n_trials, *more)
        check_exclusive(self.spec, forward.spikes)
        return forward

    @announces_compiling("kernels")
    def record(
        self,
        group,
        variables,
        trial: int = 0,
        times=None,
        *,
        adjoint: bool = False,
        spikes=None,
        targets=None,
        traces: Mapping | None = None,
    ) -> Record:
        """Return the traces of a group in one trial, as a `StateMonitor` of Brian2 records them.

        The trial is run again with the parameters that the model has now.

        Parameters
        ----------
        group : `NeuronGroup`, `Subgroup` or str
            Whose neurons, or the name of their group.
        variables : list of str
            States, subexpressions, parameters, or expressions of them: ``['v', 'I']``.
        trial : int
            Which trial of the batch.
        times : Quantity, optional
            The times, by default those of the network's time step; the clock solver wants times of
            its grid.
        adjoint : bool
            Whether to record dL/d(state) of every state of the group, too, where L is the loss of
            this trial: the mean over the trials of that at time 0 is the gradient by initial
            values.  At a time with spikes or arrivals, it is that before they happen.
        spikes, targets, traces
            The batch, as in `run`; by default that of the last run.

        Returns
        -------
        Record

        Notes
        -----
        On the time grid a ``(summed)`` variable is that of the step before, which is what Brian2
        records; in exact time it is the sum itself.  The first recording of a group compiles code
        for all of its states, and another one does for other expressions.  The adjoint of a neuron
        is NaN on the grid in the steps, if any, between the true end of an explosive upstroke and
        the spike.

        Examples
        --------
        >>> from brian2 import *
        >>> import brian_eventprop as bep
        >>> start_scope()
        >>> neuron = NeuronGroup(1, "dv/dt = -v/(10*ms) : volt", method="exact", name="cell")
        >>> neuron.v = 2*mV
        >>> model = bep.EventPropModel([neuron], train=[neuron.v], duration=10*ms,
        ...                            loss=bep.Sum(bep.Final(neuron, "v/mV")),
        ...                            backend="interpreter")
        >>> result = model.run()
        >>> record = model.record(neuron, ["v"], times=[0, 5, 10]*ms, adjoint=True)
        >>> record
        Record(v of 1 neurons of 'cell' at 3 times)
        >>> record.v[0]
        array([2.        , 1.21306132, 0.73575888]) * mvolt
        >>> (record.adjoint.v[0]*mV).round(6)
        array([0.367879, 0.606531, 1.      ])
        """
        names = [variables] if isinstance(variables, str) else list(variables)
        if not names:
            raise ValueError("record needs the name of at least one variable, such as ['v']")
        batch, targets = self._batch_to_record(spikes, targets, traces)
        number = whole_number(trial, "trial")
        if number >= batch.n_trials:
            raise ValueError(f"there is no trial {number}: the batch has {batch.n_trials}")
        targets = targets if adjoint else None
        if adjoint and self.loss is None:
            raise ValueError(
                "the model has no loss, so there is no adjoint to record: make it with loss=..."
            )
        if adjoint:
            self._check_targets(targets, batch.n_trials)
        what = wanted(group, names, times, adjoint, self.spec, self.n_steps, self.objects)
        one = of_trial(number, batch.data, batch.timed, targets, self._prepared)
        computed = self._tied.evaluate(self._tied.bind(self._values))
        return self._recorder_of(what)({**self._values, **computed}, one, names)

    def _batch_to_record(self, spikes, targets, traces) -> tuple[Batch, object]:
        if spikes is None and traces is None and self._ran is not None:
            batch, known = self._ran
            trained = self._trained_timed()
            for name, array in trained.items():
                trained[name] = array.reshape(batch.timed[name].shape)
            batch = replace(batch, timed={**batch.timed, **trained})
            return batch, known if targets is None else targets
        batch = self._batch(spikes, traces)
        return batch, batch.targets if targets is None else targets

    def _recorder_of(self, what) -> Recorder:
        """Return what records; the last one is kept."""
        if self._recorder is None or self._recorder.what != what:
            self._recorder = Recorder(
                what, self.spec, self._network, self.objects, self._namespace,
                float(self.duration), self._solver_for, self.loss,
            )  # fmt: skip
        return self._recorder

    @announces_compiling("backward pass")
    def gradient(
        self, of: Sequence | None = None, per_trial: bool = False, slope_floor=None
    ) -> Gradients:
        """Return the gradient of the last run's mean loss, or of a sum over its readouts.

        One run serves any number of calls.

        Parameters
        ----------
        of : list of array, optional
            Without a loss, or beside it: one array of cotangents per readout (those of the loss, or
            ``readouts``), of the shape of ``result.readout[k]``, with dL/d(value) of each value of
            the whole batch; None for zeros.  For ``SpikeTimes(group, which='each')`` it may have
            one number per spike, in the order of trial, neuron and time.  The gradient is that
            of ``sum(of[k] * readout[k])``, a vector-Jacobian product; it is not divided by the
            number of trials.
        per_trial : bool, optional
            Return the gradients of each trial's own loss (or of its part of the sum), with the
            trials as the first axis.  Each trial is run once more, on its own.
        slope_floor : Quantity or dict, optional
            Least slope of crossings, ``0.02/ms`` or one by group, ``{hidden: 0.02/ms}``: what
            hangs on the time of a spike with a smaller one is divided by this one instead, and the
            gradient is not exact then.  By default there is none.

        Returns
        -------
        Gradients

        Raises
        ------
        RuntimeError
            If there was no run, or parameters were changed since and `per_trial` is asked for.
        ValueError
            If `of` does not fit the readouts, or is missing though the model has no loss.

        Examples
        --------
        >>> from brian2 import *
        >>> import brian_eventprop as bep
        >>> start_scope()
        >>> neuron = NeuronGroup(2, "dv/dt = -v/tau : 1", method="exact")
        >>> neuron.v, tau = [1.0, 2.0], 10*ms
        >>> model = bep.EventPropModel([neuron], train=[neuron.v], duration=10*ms,
        ...                            readouts=[bep.Final(neuron, "v")], solver="event")
        >>> result = model.run()
        >>> model.gradient(of=[[[1.0, 10.0]]])[neuron.v]
        array([0.36787944, 3.67879441])
        """
        run = self._done()
        if of is not None:
            names = [repr(readout) for readout in self.readouts]
            weights, losses = vjp.cotangents_of(of, run.forward.readouts, names), np.zeros(1)
        elif self.loss is None:
            raise ValueError(
                "the model has no loss: say what is differentiated, model.gradient(of=[...]) with "
                "one array per readout, of the readout's shape"
            )
        else:
            weights, losses = run.of_mean(per_trial), run.result.losses
        floors = self.slope_floors(slope_floor)
        back, keys = partial(self._back, floors=floors), self.parameters.keys
        if per_trial:
            return self._as_gradients(vjp.per_trial(self._alone(run), weights, back, keys), losses)
        report = partial(_report, ref(self), ref(run), weights)
        return self._as_gradients(back(run.forward, weights), losses, report)

    @announces_compiling("backward pass")
    def jacobian(self) -> tuple[Gradients, ...]:
        """Return the derivative of every value of the readouts of the last run, for small problems.

        It takes a backward pass for each value of each trial.

        Returns
        -------
        tuple of Gradients
            One per readout; arrays have the shape of the readout, then that of the variable:
            ``model.jacobian()[0][s.w]`` is (trials, neurons, synapses).

        Raises
        ------
        RuntimeError
            If there was no run, or parameters were changed since.

        Examples
        --------
        >>> from brian2 import *
        >>> import brian_eventprop as bep
        >>> start_scope()
        >>> neuron = NeuronGroup(2, "dv/dt = -v/tau : 1", method="exact")
        >>> neuron.v, tau = [1.0, 2.0], 10*ms
        >>> model = bep.EventPropModel([neuron], train=[neuron.v], duration=10*ms,
        ...                            readouts=[bep.Final(neuron, "v")], solver="event")
        >>> result = model.run()
        >>> model.jacobian()[0][neuron.v]
        array([[[0.36787944, 0.        ],
                [0.        , 0.36787944]]])
        """
        run = self._done()

        def back(forward, weights):
            return self._back(forward, weights, with_inputs=False)

        shapes = {key: self.parameters.raw(key).shape for key in self.parameters.keys}
        found = vjp.jacobians(self._alone(run), run.forward.readouts, back, shapes)
        return tuple(
            self._as_gradients(Backward(arrays, {}, grazing), np.zeros(1))
            for arrays, grazing in zip(*found, strict=True)
        )

    def jvp(
        self, tangents: Mapping, data=None, targets=None, traces: Mapping | None = None
    ) -> Tangents:
        """Return the derivative of a run in one direction of its parameters: forward mode.

        The run's events are gone through once more, with the tangent of every state beside it,
        by code that shares nothing with the adjoint: ``sum(gradients*tangents)`` is ``jvp.loss``
        to rounding, which proves either.  It is interpreted, so it is for small networks.

        Parameters
        ----------
        tangents : dict
            How variables move: quantities in the shape of the variable, by Brian2's views, names of
            constants or of timed arrays, trained or not; and by input group (or its name) how the
            time of each spike moves, in the order of the spikes given.  All else stands still.
        data, targets, traces
            The batch, as in `run`; by default that of the last run.

        Returns
        -------
        Tangents
            With ``loss``, ``losses``, ``readout`` and ``spikes``: the derivatives of those of
            `Result`.

        Raises
        ------
        UnsupportedError
            For what forward mode does not have; the message names it.
        ValueError
            If a tangent has another shape than its variable.

        Examples
        --------
        >>> from brian2 import *
        >>> import brian_eventprop as bep
        >>> start_scope()
        >>> neuron = NeuronGroup(1, "dv/dt = (2 - v)/tau : 1", threshold="v > 1", reset="v = 0",
        ...                      method="exact", name="neuron")
        >>> tau = 10*ms
        >>> model = bep.EventPropModel([neuron], train=["tau"], duration=10*ms, solver="event",
        ...                            loss=bep.Sum(bep.SpikeTimes(neuron, "t/ms")),
        ...                            backend="interpreter")
        >>> result = model.run()
        >>> tangents = model.jvp({"tau": 1*ms})
        >>> tangents.spikes[neuron]      # of 10*ms*log(2)
        array([0.69314718]) * msecond
        >>> abs(float(model.gradient()["tau"][0]*ms) - tangents.loss) < 1e-12
        True
        """
        if self.backend == "cuda" or self._options[0] == "float32":
            raise UnsupportedError(
                "model.jvp is exact to rounding and interpreted: it goes with backend='cpu' or "
                "'interpreter', and precision='float64'."
            )
        run = self._run_of(data, targets, traces)
        values = self.values()
        shapes = {key: self._network.shapes.get(key, np.shape(v)) for key, v in values.items()}
        spikes = {name: len(d.times) for name, d in run.batch.data.items()}
        spikes = {name: n for name, n in spikes.items() if name not in self._drawn}
        found = direction_of(tangents, self.key_of, shapes, self._network.dimensions, spikes)
        if self._tied:
            found = replace(found, values=self._tied.push(found.values, run.bound))
        return tangents_of(self, run.forward, run.batch.timed, values, found, run.derivatives)

    def _run_of(self, data, targets, traces) -> Run:
        """Return the last run, or one of other data or with the parameters of now."""
        last = self._last if data is None and targets is None and traces is None else None
        if last is not None and self._ran and last.version == self.parameters.version:
            return last
        self.run(*self._batch_of(data, targets, traces))
        return self._done()

    def _batch_of(self, data, targets, traces) -> tuple:
        """Return a batch as it is given to `run`: that of the last run by default."""
        if data is None and targets is None and traces is None and self._ran is not None:
            batch, known = self._ran
            return batch.given, known, batch.traces
        return data, targets, traces

    def _as_gradients(
        self, found: Backward, losses: np.ndarray | None, report: Callable | None = None
    ) -> Gradients:
        arrays = {key: found.gradients[key] for key in self.parameters.keys}
        more = {(name, "spike times"): array for name, array in found.inputs.items()}
        more |= {(name, "traces"): array for name, array in found.traces.items()}
        wrong = not_finite({**arrays, **more}, self.spec, losses)
        return Gradients(
            arrays, self._network.dimensions, self.key_of, dict(found.inputs), found.grazing, wrong,
            self.parameters.units, self._network.shapes, found.traces, report,
        )  # fmt: skip

    @announces_compiling("backward pass")
    def gradient_arrays(self, floors: Mapping = {}) -> Mapping[tuple[str, str], np.ndarray]:
        """Return the gradient of the last run's mean loss as plain arrays in SI units, by key.

        Of the trained variables alone, in their order, as optimisers take it: on a GPU, an array
        comes to the host when it is looked up.  ``floors`` are those of `slope_floors`.
        """
        run = self._done()
        found = self._solver.backward(run.forward, run.of_mean(False), False, floors)
        if self._tied:
            pulled = self._pulled(found.gradients, run.bound)
            return HostGradients(pulled, self._solver.trial_pool, found.grazing, found.slopes)
        gradients = cast(HostGradients, found.gradients)  # a solver's are more than a dict
        return gradients.ordered(self.parameters.keys)

    def _pulled(self, gradients: Mapping, bound: Mapping) -> Mapping:
        """Return gradients of what expressions are made of, given those of the variables."""
        if not self._tied:
            return gradients
        shapes = {key: np.shape(self.parameters.raw(key)) for key in self.parameters.keys}
        return self._tied.pull(gradients, bound, shapes)

    def _done(self) -> Run:
        if self._last is None:
            raise RuntimeError("there is nothing to differentiate yet: call run() first")
        return self._last

    def _back(
        self, forward: ForwardRun, weights: tuple, with_inputs: bool = True, floors: Mapping = {}
    ) -> Backward:
        """Return a backward pass, with dL/d(time) of inputs in the order of the given spikes."""
        found = self._solver.backward(forward, weights, with_inputs, floors)
        inputs = {}
        for name, grads in found.inputs.items() if with_inputs else ():
            if name in self._drawn:  # steps of the time grid do not move
                continue
            inputs[name] = np.empty_like(grads)
            inputs[name][forward.inputs[name].original] = grads
        gradients = self._pulled(found.gradients, self._done().bound)
        return Backward(gradients, inputs, found.grazing, found.traces, slopes=found.slopes)

    def _alone(self, run: Run) -> Iterator[ForwardRun]:
        """Run each trial of the last run on its own."""
        if run.version != self.parameters.version:
            raise RuntimeError(
                "parameters were changed since run(); gradients of each trial need its run again: "
                "call run() first"
            )
        batch = run.batch
        for data, timed in vjp.single_trials(batch.data, batch.timed, batch.n_trials):
            yield self._forward(self._prepared(data), timed, 1)
        if self.backend == "cuda":  # whose runs share their memory
            forward = self._forward(batch.prepared, batch.timed, batch.n_trials)
            self._last = replace(run, forward=forward)

    @property
    def result(self) -> Result | None:
        """What the last run returned; None before it, and once a model was rewired."""
        return self._last.result if self._last else None


def _report(
    model_ref: ref[EventPropModel], run_ref: ref[Run], weights: tuple, k: int
) -> GrazingReport:
    """Return the flattest crossings of a run, as long as the model has it."""
    model, run = model_ref(), run_ref()
    if model is None or run is None or model._last is not run:
        raise RuntimeError("the model was run since: call report() before the next run")
    model.slope_floors({})  # refused on CUDA
    back = partial(model._back, run.forward, weights, False)
    spikes, keys = run.forward.spikes, model.parameters.keys
    return report_of(spikes, model.slope_dimensions, back, k, keys)
