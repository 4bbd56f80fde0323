"""Trained delays of 0 among coupled neurons, whose gradient would be of the wrong side.

Coupled neurons take what arrives with their own spike before their resets wherever that matters, as
Brian2 does.  A delay of 0 can only grow, and with it the arrival comes after the resets: its
derivative is that of a later arrival.  Where nothing reads or changes what resets change, both are
the same or have a rule of their own; elsewhere such a delay is refused.
"""

from __future__ import annotations

import numpy as np
from brian2 import get_logger

from brian_eventprop.errors import UnsupportedError

logger = get_logger(__name__)


def check_zero_delays(module, system, network) -> None:
    """Refuse trained delays of 0 in coupled groups whose spikes do more than reach their targets.

    Parameters
    ----------
    module
        The rendered kernels.
    system
        The derived network.
    network
        Its numbers.

    Raises
    ------
    UnsupportedError
        If there is such a delay; of one that may fall to 0 is warned.
    """
    coupled = [p for p in module.pathways if p.target.setting.coupled and not p.outer]
    if not any(p.elsewhere for p in coupled):
        return
    early = [p for p in coupled if p.after_reset != "True" or p.adjoint.pre]
    if not early:
        return
    for p in coupled:
        pathway = p.adjoint.pathway
        if pathway.delay not in system.trained:
            continue
        if np.any(np.asarray(network.values[pathway.delay]) == 0):
            raise UnsupportedError(
                f"Synapses '{p.synapses}': a trained delay of 0 is not supported with "
                f"solver='event' in the coupled group '{p.target.name}', where "
                f"'{early[0].text}' of '{early[0].synapses}' comes before the resets: the gradient "
                "of a delay that can only grow would be that of an arrival before them. Begin with "
                "a delay above 0, or take it out of train=[...]."
            )
        logger.warn(
            f"Synapses '{p.synapses}': if a trained delay falls to 0, its gradient is that of an "
            "arrival before the reset of its sender; keep it above 0 with bounds=.",
            "zero_delay",
            once=True,
        )
