"""The recipe's settings, read from recipe.yaml and checked."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.errors import ConfigError
from pipeline.runtime.yaml_reader import YAMLError, parse_yaml

RECIPE = Path(__file__).with_name("recipe.yaml")

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Ratio = Annotated[float, Field(ge=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Split(_Section):
    """Which speakers are never trained on."""

    test_speakers: Count
    validation_speakers: Count
    shortest_test: Positive  # s


class Speech(_Section):
    """What voices are made of the recordings."""

    speeds: tuple[Positive, ...]
    shortest: Positive  # s


class Crops(_Section):
    """What a batch is."""

    seconds: Positive
    decay_seconds: Positive
    classes: Count
    decay_classes: Count
    augment: Ratio
    snr: tuple[float, float]  # dB


class Loss(_Section):
    """Weights of the loss's parts."""

    vector: float
    similarity: float
    classes: float
    scale: Positive
    margin: float
    hints: float


class Optimiser(_Section):
    """Rates and schedule: warm-up, stable, decay."""

    matrix_rate: Positive
    rate: Positive
    weight_decay: float
    warmup: Count  # steps
    steps: Count
    decay: Ratio
    average: Ratio


class Watch(_Section):
    """How progress is measured."""

    every: Count  # steps
    validation_segment: Positive  # s
    segment: Positive  # s


class Recipe(_Section):
    """All of recipe.yaml."""

    seed: Annotated[int, Field(ge=0)]
    split: Split
    speech: Speech
    crops: Crops
    loss: Loss
    hints: Count  # dimensions
    lift: float  # of the codes' axes, in standard deviations
    optimiser: Optimiser
    watch: Watch


def load_recipe(path: Path = RECIPE) -> Recipe:
    """Read and check the recipe; raises ConfigError naming each bad key."""
    try:
        return Recipe.model_validate(parse_yaml(path.read_text(encoding="utf-8")))
    except (ValidationError, YAMLError) as error:
        raise ConfigError(f"{path}: {error}") from error
