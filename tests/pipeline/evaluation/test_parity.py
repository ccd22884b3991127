"""Labels by the parity of a row: reported where they differ from the list's, and as wrong as predicted."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.evaluation import evaluate, lists_of
from pipeline.evaluation.figures import parity_figures
from pipeline.metrics import roc_auc
from tests.pipeline.evaluation.planted import NoisyEncoder, settings, stores, tables, trials


def test_parity_labels_are_reported_only_where_they_differ_from_the_lists() -> None:
    faces, voices = stores(0.7)
    shifted = trials("unseen_unheard", "cross_modal", "N")
    shifted["position"] += np.arange(240) // 120  # the second half starts on an odd row: every label there is wrong
    protocol = tables([trials("unseen_unheard", "cross_modal", "random"), shifted], [])
    result = evaluate(NoisyEncoder(1, 0.0), settings(), lists_of(protocol, faces, voices), faces, voices)
    assert set(result.metrics["parity_labels"]) == {"N"}
    table = result.scores[result.scores["criterion"] == "N"]
    parity = (table["position"] % 2 == 0).astype(int)
    figures = result.metrics["parity_labels"]["N"]
    assert figures["labels_differing"] == 50.0
    assert figures["auc"] == pytest.approx(roc_auc(table["score_0"], parity), abs=1e-5)
    right = result.metrics["verification"]["cross_modal"]["N"]["auc"]
    assert abs(figures["auc"] - 50) < abs(right - 50) / 3


@pytest.mark.parametrize(("criterion", "kept"), [("N", 0.072), ("GNA", 0.183)])
def test_parity_pulls_the_released_lists_towards_chance_as_far_as_predicted(
    shared: Path, criterion: str, kept: float
) -> None:
    path = shared / "data" / "voxceleb_lists" / "veriflist" / f"veriflist_test_{criterion}_unseenunheard.txt"
    table = pd.read_csv(path).rename_axis("position").reset_index()
    rng = np.random.default_rng(0)
    scores = (rng.normal(size=(1, len(table))) + 1.5 * table["label"].to_numpy()).astype(np.float32)
    right = roc_auc(scores[0], table["label"])
    figures = parity_figures(scores, table)
    assert right > 80.0
    assert figures["auc"] == pytest.approx(50.0 + kept * (right - 50.0), abs=0.5)
    assert figures["labels_differing"] == pytest.approx({"N": 46.4, "GNA": 40.8}[criterion], abs=0.05)
