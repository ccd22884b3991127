"""What is measured of scores: numpy alone, so that validation during training costs no import.

Scores are similarities: higher means the same person. Rates are percentages, 0 to 100.

Ties never help. A threshold accepts equal scores together, so verification sees one operating point for each distinct
score; between two of them the curve is the chord, as if a coin were tossed, and constant scores come out as chance
(EER 50, AUC 50) in whatever order they arrive. In matching and retrieval, where one candidate must be named, a tie is
an error.
"""

from pipeline.metrics.bootstrap import (
    IdentityResamples,
    Interval,
    VerificationIntervals,
    mean_interval,
    verification_intervals,
)
from pipeline.metrics.det import DetCurve, det_curve, min_dcf
from pipeline.metrics.matching import matching_accuracy, matching_hits
from pipeline.metrics.official_grid import OfficialRates, official_rates
from pipeline.metrics.rates import equal_error_rate, roc_auc
from pipeline.metrics.retrieval import RetrievalRates, retrieval_rates
from pipeline.metrics.roc import RocCurve, roc_curve

__all__ = [
    "DetCurve",
    "IdentityResamples",
    "Interval",
    "OfficialRates",
    "RetrievalRates",
    "RocCurve",
    "VerificationIntervals",
    "det_curve",
    "equal_error_rate",
    "matching_accuracy",
    "matching_hits",
    "mean_interval",
    "min_dcf",
    "official_rates",
    "retrieval_rates",
    "roc_auc",
    "roc_curve",
    "verification_intervals",
]
