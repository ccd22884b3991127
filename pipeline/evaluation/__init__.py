"""What a trained run is worth on the lists of the protocol: scores, metrics.json and curves."""

from pipeline.evaluation.evaluate import Evaluation, evaluate
from pipeline.evaluation.lists import MATCHING, VERIFICATION, Lists, read_lists
from pipeline.evaluation.results import write_evaluation
from pipeline.evaluation.scoring import Encoder

__all__ = ["MATCHING", "VERIFICATION", "Encoder", "Evaluation", "Lists", "evaluate", "read_lists", "write_evaluation"]
