"""Train one run: its seeds one after another, each the network of its best epoch."""

from pipeline.training.calibrate import calibrate
from pipeline.training.cost import Cost, cost_of
from pipeline.training.lists import TrainingLists, Trials, calibration_trials, training_lists
from pipeline.training.loop import TrainedRun, train_run
from pipeline.training.state import StateFile

__all__ = [
    "Cost",
    "StateFile",
    "TrainedRun",
    "TrainingLists",
    "Trials",
    "calibrate",
    "calibration_trials",
    "cost_of",
    "train_run",
    "training_lists",
]
