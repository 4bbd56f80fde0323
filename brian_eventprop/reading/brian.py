"""The names of Brian2's insides that the reader uses, all in one place.

Everything here is called on the user's own objects without compiling or claiming them.  When a
Brian2 release moves one of these names, this is the file to change.
"""

from brian2.codegen.permutation_analysis import OrderDependenceError, check_for_order_independence
from brian2.codegen.translation import analyse_identifiers, make_statements
from brian2.core.base import BrianObject
from brian2.core.functions import DEFAULT_CONSTANTS, DEFAULT_FUNCTIONS, Function
from brian2.core.magic import magic_network
from brian2.core.namespace import DEFAULT_UNITS
from brian2.core.network import Network
from brian2.core.operations import NetworkOperation
from brian2.core.preferences import prefs
from brian2.core.variables import (
    ArrayVariable,
    AuxiliaryVariable,
    Constant,
    Subexpression,
    VariableView,
)
from brian2.devices.device import get_device, runtime_device
from brian2.equations.codestrings import Expression
from brian2.equations.equations import (
    DIFFERENTIAL_EQUATION,
    PARAMETER,
    SUBEXPRESSION,
    check_subexpressions,
)
from brian2.equations.unitcheck import check_units_statements
from brian2.groups.group import CodeRunner
from brian2.groups.neurongroup import NeuronGroup, StateUpdater
from brian2.groups.subgroup import Subgroup
from brian2.input.binomial import BinomialFunction
from brian2.input.poissongroup import PoissonGroup
from brian2.input.poissoninput import PoissonInput
from brian2.input.spikegeneratorgroup import SpikeGeneratorGroup
from brian2.input.timedarray import TimedArray
from brian2.input.timedarray import _find_K as upsampling
from brian2.monitors.ratemonitor import PopulationRateMonitor
from brian2.monitors.spikemonitor import EventMonitor
from brian2.monitors.statemonitor import StateMonitor
from brian2.parsing.bast import brian_ast
from brian2.parsing.expressions import is_boolean_expression, parse_expression_dimensions
from brian2.spatialneuron.spatialneuron import SpatialNeuron
from brian2.stateupdaters.base import StateUpdateMethod, UnsupportedEquationsException
from brian2.stateupdaters.exact import linear
from brian2.synapses.synapses import Synapses
from brian2.units.allunits import second
from brian2.units.fundamentalunits import (
    DIMENSIONLESS,
    Quantity,
    fail_for_dimension_mismatch,
    get_dimensions,
)

MONITORS = (EventMonitor, StateMonitor, PopulationRateMonitor)

__all__ = [
    "DEFAULT_CONSTANTS",
    "DEFAULT_FUNCTIONS",
    "DEFAULT_UNITS",
    "DIFFERENTIAL_EQUATION",
    "DIMENSIONLESS",
    "MONITORS",
    "PARAMETER",
    "SUBEXPRESSION",
    "ArrayVariable",
    "AuxiliaryVariable",
    "BinomialFunction",
    "BrianObject",
    "CodeRunner",
    "Constant",
    "Expression",
    "Function",
    "Network",
    "NetworkOperation",
    "NeuronGroup",
    "OrderDependenceError",
    "PoissonGroup",
    "PoissonInput",
    "Quantity",
    "SpatialNeuron",
    "SpikeGeneratorGroup",
    "StateUpdateMethod",
    "StateUpdater",
    "Subexpression",
    "Subgroup",
    "Synapses",
    "TimedArray",
    "UnsupportedEquationsException",
    "VariableView",
    "analyse_identifiers",
    "brian_ast",
    "check_for_order_independence",
    "check_subexpressions",
    "check_units_statements",
    "fail_for_dimension_mismatch",
    "get_device",
    "get_dimensions",
    "is_boolean_expression",
    "linear",
    "magic_network",
    "make_statements",
    "parse_expression_dimensions",
    "prefs",
    "runtime_device",
    "second",
    "upsampling",
]
