"""Whether anybody wants to see messages and progress bars."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

#: Environment variable that switches messages and bars off: 0, off, no or false.
PROGRESS_VARIABLE = "BRIAN_EVENTPROP_PROGRESS"

_silenced = 0


def wanted() -> bool:
    """Return whether messages are shown.

    They are, unless the environment variable ``BRIAN_EVENTPROP_PROGRESS`` says ``off``, which is
    read each time, or the work is done for somebody who asked for silence.

    Examples
    --------
    >>> with silent():
    ...     wanted()
    False
    """
    given = os.environ.get(PROGRESS_VARIABLE, "on").lower()
    return not _silenced and given not in ("0", "off", "no", "false")


@contextmanager
def silent(yes: bool = True) -> Iterator[None]:
    """Show nothing within the block, if ``yes``."""
    global _silenced
    _silenced += yes
    try:
        yield
    finally:
        _silenced -= yes


def in_notebook() -> bool:
    """Return whether the code runs in the kernel of a notebook."""
    return "ipykernel" in sys.modules and hasattr(sys.modules["ipykernel"], "get_connection_file")


def watched() -> bool:
    """Return whether somebody looks at the output now, which therefore may move."""
    return wanted() and (in_notebook() or _is_terminal(sys.stderr))


def _is_terminal(stream) -> bool:
    return hasattr(stream, "isatty") and stream.isatty()
