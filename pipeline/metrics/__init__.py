"""Rates of scores, in numpy alone, so that validation during training costs no import.

Scores are similarities: higher means the same person. Rates are percentages, 0 to 100.

Ties never help. A threshold accepts equal scores together, so verification sees one operating point for each distinct
score; between two of them the curve is the chord, as if a coin were tossed, and constant scores give chance level
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
from pipeline.metrics.llr import (
    RatioIntervals,
    actual_dcf,
    cllr,
    least_cllr_interval,
    min_cllr,
    ratio_intervals,
)
from pipeline.metrics.official_grid import OfficialRates, official_rates, within_grid
from pipeline.metrics.ranking import RetrievalRates, matching_hits, retrieval_rates
from pipeline.metrics.rates import RocCurve, auc_of, eer_of, equal_error_rate, min_dcf, min_dcf_of, roc_auc, roc_curve

__all__ = [
    "IdentityResamples",
    "Interval",
    "OfficialRates",
    "RatioIntervals",
    "RetrievalRates",
    "RocCurve",
    "VerificationIntervals",
    "actual_dcf",
    "auc_of",
    "cllr",
    "eer_of",
    "equal_error_rate",
    "least_cllr_interval",
    "matching_hits",
    "mean_interval",
    "min_cllr",
    "min_dcf",
    "min_dcf_of",
    "official_rates",
    "ratio_intervals",
    "retrieval_rates",
    "roc_auc",
    "roc_curve",
    "verification_intervals",
    "within_grid",
]
