"""What one sees of a model and of what it returns: short, in a terminal and in a notebook."""

from brian_eventprop.model.display.summary import Summary, summary_of

__all__ = ["Summary", "summary_of"]
