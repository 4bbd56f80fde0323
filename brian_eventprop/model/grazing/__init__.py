"""Crossings of the threshold that are flat: how flat, and how much of the gradient they carry."""

from brian_eventprop.model.grazing.floors import GrazingModel
from brian_eventprop.model.grazing.report import Flattest, GrazingReport, report_of

__all__ = ["Flattest", "GrazingModel", "GrazingReport", "report_of"]
