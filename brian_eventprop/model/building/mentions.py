"""What is worth a warning when a model is made."""

from __future__ import annotations

from brian2 import get_logger

from brian_eventprop.reading import is_monitor, left_out

logger = get_logger(__name__)


def mention_left_out(objects, visible) -> None:
    if missing := left_out(objects, visible):
        logger.warn(
            f"Brian2's run() would also run {', '.join(missing)}, which the list of objects lacks "
            "though all that they act on is in it. Add what the model should have, and set the "
            "attribute 'active' of what it should not have to False.",
            "left_out",
            once=True,
        )


def mention_monitors(objects) -> None:
    monitors = [f"{type(obj).__name__} '{obj.name}'" for obj in objects if is_monitor(obj)]
    if monitors:
        logger.warn(
            f"A model does not fill monitors: {', '.join(monitors)} will hold what Brian2's own "
            "runs record. Find the spikes of all trials of model.run() in result.spikes, and take "
            "what a StateMonitor would have recorded of one with model.record(group, ['v']).",
            "monitors",
            once=True,
        )
