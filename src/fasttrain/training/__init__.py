"""The fit loop, one for everything that is trained in steps or by L-BFGS.

``plan`` says what a training is to do, ``loop`` runs its epochs, ``lbfgs`` minimizes over all rows; ``running`` is what
callbacks see meanwhile, ``results`` what is left at the end. ``stopping`` and ``orders`` are the rules that a plan may
hold, ``engine`` reads and writes the state of a network, ``checkpoints`` puts it on disk. The descent functions, the
estimators and Sequential come here with a bound network; nothing here knows an estimator.
"""

from fasttrain._core.public import publish
from fasttrain.training.engine import configure
from fasttrain.training.lbfgs import train_lbfgs
from fasttrain.training.loop import train
from fasttrain.training.orders import Reshuffling, permutations
from fasttrain.training.plan import Plan
from fasttrain.training.results import DivergenceError, FitResult
from fasttrain.training.running import Training
from fasttrain.training.stopping import Stopping

__all__ = [
    "DivergenceError", "FitResult", "Plan", "Reshuffling", "Stopping", "Training", "configure", "permutations", "train",
    "train_lbfgs",
]

publish(globals())
