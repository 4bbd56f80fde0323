# Every public name and where it lives.  `__init__.py` reads this file, and imports a name when it
# is asked for; type checkers and editors read it as it is.

from . import datasets as datasets
from . import fit as fit
from . import nir as nir
from . import plotting as plotting
from .data.augmentation import Blend as Blend
from .data.augmentation import ChannelShift as ChannelShift
from .data.parameter_files import load_parameters as load_parameters
from .data.spikes import SpikeData as SpikeData
from .errors import UnsupportedError as UnsupportedError
from .expressions import Expression as Expression
from .losses import CrossEntropy as CrossEntropy
from .losses import FiringRate as FiringRate
from .losses import Loss as Loss
from .losses import MeanSquaredError as MeanSquaredError
from .losses import ShiftInvariantFirstSpike as ShiftInvariantFirstSpike
from .losses import SpikeTrainError as SpikeTrainError
from .losses import Sum as Sum
from .losses import TimeToFirstSpike as TimeToFirstSpike
from .losses import VanRossum as VanRossum
from .losses import WeightedSum as WeightedSum
from .model.gradient_check import check_gradient as check_gradient
from .model.model import EventPropModel as EventPropModel
from .nir.quantizing import quantize as quantize
from .reading import Axonal as Axonal
from .reading import function as function
from .readouts import Final as Final
from .readouts import Integral as Integral
from .readouts import Maximum as Maximum
from .readouts import SpikeCount as SpikeCount
from .readouts import SpikeTimes as SpikeTimes
from .readouts import Value as Value
from .training import MPI as MPI
from .training import Callback as Callback
from .training import Checkpoint as Checkpoint
from .training import CSVLog as CSVLog
from .training import DeepR as DeepR
from .training import EarlyStopping as EarlyStopping
from .training import GradientNorms as GradientNorms
from .training import History as History
from .training import LiftSilent as LiftSilent
from .training import LineLog as LineLog
from .training import ProgressBar as ProgressBar
from .training import RateWarning as RateWarning
from .training import ReduceOnPlateau as ReduceOnPlateau
from .training import Report as Report
from .training import SilenceWarning as SilenceWarning
from .training import TensorBoardLog as TensorBoardLog
from .training import Trainer as Trainer
from .training import schedules as schedules
from .training.optimizers import SGD as SGD
from .training.optimizers import Adam as Adam
from .training.optimizers import ClipNorm as ClipNorm
from .training.optimizers import ClipValue as ClipValue

__version__: str
