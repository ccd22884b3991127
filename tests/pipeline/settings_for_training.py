"""Settings of a run for tests: the shipped ones, small, with whatever a test changes."""

from functools import cache
from pathlib import Path

from pipeline.config import load_params, validate
from pipeline.settings import Params, RunSettings

_PARAMS = Path(__file__).resolve().parents[2] / "params.yaml"


@cache
def shipped() -> Params:
    """params.yaml as it ships."""
    return load_params(_PARAMS)


def train_settings(**changes: object) -> RunSettings:
    """A small run of params.yaml with `changes`: keys of train:, and options of its method and its loss."""
    small = {"embedding": 16, "epochs": 3, "batch_size": 16, "seeds": [0, 1, 2], "selection": "last"}
    keys = {**shipped().train.model_dump(), **small, **changes}
    methods, losses = dict(shipped().methods[str(keys["method"])]), dict(shipped().losses[str(keys["loss"])])
    for options in (methods, losses):
        options |= {key: keys.pop(key) for key in list(options) if key in keys}
    keys.pop("embedding", None)  # of a method that has none
    return validate(RunSettings, {**keys, "method_options": methods, "loss_options": losses}, "test")
