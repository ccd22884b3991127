"""Model files for tests of scoring: networks as they are built, with the provenance of real stores."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from pipeline.methods import Sizes, build_method
from pipeline.scoring.calibration import Calibration
from pipeline.scoring.model import MODEL, Model, save_model
from tests.pipeline.settings_for_training import train_settings

CALIBRATED = {
    task: [
        Calibration(40, 20.0, 26.0, {"eer": -1.30, "far_1": -1.10, "far_10": -1.25}),
        Calibration(40, 30.0, 38.0, {"eer": -1.26, "far_1": -1.06, "far_10": -1.21}),
    ]
    for task in ("cross_modal", "face", "voice")
}
OF_MEAN = Calibration(40, 26.0, 33.0, {"eer": -1.27, "far_1": -1.09, "far_10": -1.24})  # of their mean


def write_run(
    folder: Path,
    provenance: Mapping[str, Mapping[str, Any]],
    *,
    calibrations: Mapping[str, Sequence[Calibration]] = CALIBRATED,
    seeds: int = 2,
    name: str = "mine",
    **settings: object,
) -> Path:
    """A model file of `seeds` networks of vectors (512,), not trained; `settings` as in train_settings."""
    resolved = train_settings(seeds=list(range(seeds)), **settings)
    sizes = Sizes(512, 512, 4)
    methods = [build_method(resolved, sizes, torch.Generator().manual_seed(seed)).eval() for seed in range(seeds)]
    of_mean = dict.fromkeys(calibrations, OF_MEAN)
    model = Model(methods, resolved.model_dump(), sizes, (1,) * seeds, provenance, calibrations, of_mean)
    path = folder / name / MODEL
    save_model(path, model)
    return path
