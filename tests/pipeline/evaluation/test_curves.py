"""ROC and DET tables: thin, averaged over models, at operating points that exist."""

import numpy as np
import pytest

from pipeline.evaluation import evaluate
from pipeline.evaluation.figures import roc_and_det
from tests.pipeline.evaluation.planted import NoisyEncoder, planted_lists, settings, stores


def test_curves_are_thin_monotone_and_agree_with_the_rates() -> None:
    faces, voices = stores(0.7)
    result = evaluate(NoisyEncoder(2, 0.1), settings(), planted_lists(faces, voices), faces, voices)
    assert result.roc.columns.tolist() == ["list", "false_accept_rate", "true_accept_rate"]
    assert result.det.columns.tolist() == ["list", "false_accept_rate", "false_reject_rate"]
    assert len(result.roc) == len(result.det) <= 500
    assert result.roc["true_accept_rate"].is_monotonic_increasing
    assert result.roc.iloc[-1][["false_accept_rate", "true_accept_rate"]].tolist() == [100.0, 100.0]
    area = np.trapezoid(result.roc["true_accept_rate"], result.roc["false_accept_rate"]) / 100
    assert area == pytest.approx(result.metrics["verification"]["cross_modal"]["random"]["auc"], abs=0.5)
    assert np.allclose(result.det["false_reject_rate"], 100 - result.roc["true_accept_rate"])


def test_curve_has_the_best_point_that_accepts_no_more_impostors() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 2
    scores = (rng.normal(size=(1, 200)) + labels).round(1)
    roc, _ = roc_and_det("name", scores, labels)
    points = [(np.mean(scores[0][labels == 0] >= t), np.mean(scores[0][labels == 1] >= t)) for t in set(scores[0])]
    for share, found in zip(roc["false_accept_rate"], roc["true_accept_rate"], strict=True):
        best = max([true for false, true in points if 100 * false <= share + 1e-9], default=0.0)
        assert found == pytest.approx(100 * best, abs=1e-4)
