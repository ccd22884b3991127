"""What a trained run is worth on the lists of the protocol: scores, metrics.json and curves."""

from pipeline.evaluation.evaluate import Evaluation, described, evaluate, write_evaluation
from pipeline.evaluation.lists import Lists, Trained, lists_of

__all__ = ["Evaluation", "Lists", "Trained", "described", "evaluate", "lists_of", "write_evaluation"]
