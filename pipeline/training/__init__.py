"""Train one run of SBNet, all its seeds at once, and read back what was trained."""

from pipeline.training.lists import TrainingLists, Trials, training_lists
from pipeline.training.loop import TrainedRun, train_run
from pipeline.training.model import MODEL, Model, load_model, save_model
from pipeline.training.state import StateFile

__all__ = [
    "MODEL",
    "Model",
    "StateFile",
    "TrainedRun",
    "TrainingLists",
    "Trials",
    "load_model",
    "save_model",
    "train_run",
    "training_lists",
]
