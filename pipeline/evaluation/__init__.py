"""What a trained run is worth on the lists of the protocol: scores, metrics.json and curves."""

from pipeline.evaluation.evaluate import Evaluation, evaluate
from pipeline.evaluation.lists import Lists, lists_of
from pipeline.evaluation.results import described, write_evaluation
from pipeline.evaluation.scoring import Encoder

__all__ = ["Encoder", "Evaluation", "Lists", "described", "evaluate", "lists_of", "write_evaluation"]
