"""Settings of a run for tests: the shipped ones, small, with whatever a test changes."""

from pathlib import Path

from pipeline.config import load_params, validate
from pipeline.settings import TrainSettings

_PARAMS = Path(__file__).resolve().parents[2] / "params.yaml"


def train_settings(**changes: object) -> TrainSettings:
    """`train:` of params.yaml with a narrow network, few epochs and `changes`."""
    small = {"embedding": 16, "epochs": 3, "batch_size": 16, "seeds": [0, 1, 2], "selection": "last"}
    return validate(TrainSettings, {**load_params(_PARAMS).train.model_dump(), **small, **changes}, "test")
