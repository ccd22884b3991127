"""Labels beside lines, and which lines of Figure 4 stand out."""

from itertools import pairwise, product

import numpy as np
import pytest

from pipeline.report.figures import apart, figure_4_here
from pipeline.report.runs import Run
from tests.pipeline.settings_for_training import train_settings


def run(name: str, accuracies: list[float], method: str = "sbnet") -> Run:
    settings = train_settings().model_copy(update={"method": method})
    matching = {str(size): {"accuracy": value} for size, value in zip((2, 4), accuracies, strict=True)}
    return Run(name, settings, settings, {"matching": {"v2f": matching}}, None, None)


def test_labels_move_apart_as_little_as_can_be() -> None:
    values, gap = [10.0, 20.0, 20.5, 21.0, 40.0], 2.0
    found = apart(values, gap)
    assert all(high - low >= gap - 1e-9 for low, high in pairwise(found))
    assert (found[0], found[-1]) == (10.0, 40.0)
    steps = np.arange(-3.0, 3.25, 0.25)
    tried = [np.add(values[1:4], moved) for moved in product(steps, repeat=3)]
    allowed = [np.square(one - values[1:4]).sum() for one in tried if (np.diff(one) >= gap).all()]
    assert np.square(np.subtract(found, values)).sum() == pytest.approx(min(allowed), abs=0.05)


def test_the_best_and_the_published_network_stand_out_and_what_does_not_match_is_left_out() -> None:
    rows = [(f"Rival {number}", run(f"r{number}", [60.0 + number, 40.0 + number])) for number in range(5)]
    rows += [("SBNet, FOP", run("single_fop", [55.0, 30.0])), ("Ridge CCA (floor)", run("cca", [90.0, 80.0], "cca"))]
    nothing = train_settings()
    rows += [("No lists", Run("none", nothing, nothing, {"matching": {}}, None, None))]
    (plot,) = figure_4_here(rows)
    labels = {text.get_text().split("  ")[-1]: text.get_color() for text in plot.figure.axes[0].texts}
    grey = labels["chance"]
    assert {name for name, color in labels.items() if color != grey} == {"Rival 2", "Rival 3", "Rival 4", "SBNet, FOP"}
    assert "Ridge CCA (floor)" in labels and "No lists" not in labels
    assert figure_4_here(rows[-1:]) == []
