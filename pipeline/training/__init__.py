"""Train one run: its seeds one after another, each the network of its best epoch."""

from pipeline.training.lists import TrainingLists, Trials, training_lists
from pipeline.training.loop import TrainedRun, train_run
from pipeline.training.state import StateFile

__all__ = ["StateFile", "TrainedRun", "TrainingLists", "Trials", "train_run", "training_lists"]
