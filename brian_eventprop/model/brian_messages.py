"""Messages of Brian2 that would mislead the user of a model.

Brian2 asks to be told of every error that ends a script, and warns of every object that is deleted
without ever having been in one of its networks.  Neither is meant for errors of this package, nor
for objects that a model has read.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable
from pathlib import Path

import brian2
from brian2.utils.logger import brian_excepthook

_HERE, _BRIAN2 = str(Path(__file__).parents[1]), str(Path(brian2.__file__).parent)
_UNUSED = "brian2.core.base.unused_brian_object"


def report_own_errors() -> None:
    """Let Python itself report errors of this package; Brian2 goes on to report all others."""
    if sys.excepthook is brian_excepthook:
        sys.excepthook = report


def note_as_read(objects: Iterable) -> None:
    """Brian2 shall not warn when these objects are deleted: a model has read them."""
    from brian_eventprop.reading.unsupported import objects_below  # not before it is needed

    for obj in (part for whole in objects for part in (whole, *objects_below(whole))):
        _READ.places.setdefault(obj.name, set()).add(obj._creation_stack)


def report(kind, error, traceback) -> None:
    """Report an error as Python does if it is this package's, else as Brian2 does."""
    hook = sys.__excepthook__ if _is_own(traceback) else brian_excepthook
    hook(kind, error, traceback)


def _is_own(traceback) -> bool:
    """Whether, of this package and Brian2, it is this package where an error came from."""
    own = False
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        if file.startswith((_HERE, _BRIAN2)):
            own = file.startswith(_HERE)
        traceback = traceback.tb_next
    return own


class _ReadObjects(logging.Filter):
    """Drops the warning for objects that a model has read, known by name and place of creation."""

    def __init__(self):
        super().__init__()
        self.places: dict[str, set[str]] = {}

    def filter(self, record) -> bool:
        message = record.getMessage()
        name = re.search("'([^']*)'", message)
        places = self.places.get(name[1], ()) if name else ()
        return not any(place in message for place in places)


_READ = _ReadObjects()
logging.getLogger(_UNUSED).addFilter(_READ)
