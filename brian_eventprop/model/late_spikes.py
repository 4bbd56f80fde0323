"""Input spikes that come when the trial is over: nothing is lost in silence."""

from __future__ import annotations

import numpy as np
from brian2 import get_logger, ms

logger = get_logger(__name__)


def check_end(inputs, end: float, own: bool) -> None:
    """Refuse spikes at or after the end of the trials, and mention data of longer trials.

    Parameters
    ----------
    inputs : dict
        `SpikeData` of each input by its name.
    end
        End of a trial in seconds.
    own
        Whether these are the spikes that a `SpikeGeneratorGroup` holds itself.  Some may come later
        there: a run of Brian2 ends when it ends.

    Examples
    --------
    >>> from brian_eventprop.data.spikes import SpikeData
    >>> check_end({"inp": SpikeData([0.001, 0.005], [0, 1], [0, 0], 1, 2)}, 0.02, False)
    """
    first_late = end * (1 - 1e-12)  # a number of time steps times dt is not exact
    for name, data in inputs.items():
        if data.times.max(initial=0.0) >= first_late:
            late = int(np.sum(data.times >= first_late))
            what = (
                f"{late} of the {len(data.times)} input spikes of '{name}' come at or after the "
                f"end of the trial, which lasts {end * 1e3:g} ms: the latest one at "
                f"{data.times.max():g} s"
            )
            if not own:
                raise ValueError(
                    f"{what}. Times without a unit are seconds: give others with their unit, as in "
                    "SpikeData([1, 5]*ms, ...). Make the model's duration longer, or leave the "
                    "late spikes out: data.until(model.duration)."
                )
            logger.warn(f"{what}. They do not count, as in a run of Brian2.", "late", once=True)
        if data.duration is not None and float(data.duration) > end * (1 + 1e-9):
            logger.warn(
                f"The trials of the data for '{name}' last {data.duration / ms:g} ms, those of the "
                f"model {end * 1e3:g} ms. No spike is lost; if that is meant, say so: "
                "data.until(model.duration).",
                "shorter",
                once=True,
            )
