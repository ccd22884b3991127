"""The recipe's settings, read from recipe.yaml and checked."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.errors import ConfigError
from pipeline.runtime.yaml_reader import YAMLError, parse_yaml

RECIPE = Path(__file__).with_name("recipe.yaml")

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Ratio = Annotated[float, Field(ge=0, le=1)]
Range = tuple[Positive, Positive]
Codec = Literal["opus", "mp3", "aac", "amr", "g726", "gsm", "mu-law"]


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


class Warps(_Section):
    """Factors of a warped copy's pitch, of its formants' frequencies, and of its melody's octaves."""

    pitch: Range
    tract: Range
    liveliness: Range


class Crops(_Section):
    """What a batch is."""

    seconds: Range
    decay_seconds: Range
    batch_seconds: Positive
    altered: Ratio


class RoomSettings(_Section):
    """Which rooms are simulated: sizes in m, times in s."""

    count: Count
    smallest: tuple[Positive, Positive, Positive]
    largest: tuple[Positive, Positive, Positive]
    reverberation: Range
    images: Count
    longest: Positive


class ChannelSettings(_Section):
    """What lies between a mouth and a file: chances of its parts, and their ranges."""

    room: Ratio
    far_field: Ratio
    far_field_edge: Range  # Hz
    far_field_slope: Positive  # dB an octave
    noise: Ratio
    snr: tuple[float, float]  # dB
    noise_slope: tuple[float, float]
    babble: Count  # voices
    mains: tuple[Positive, ...]  # Hz
    talker: Ratio
    talker_snr: tuple[float, float]  # dB
    microphone: Ratio
    microphone_gain: float  # dB
    level: tuple[float, float]  # dB of full scale
    clipping: Ratio
    clipped: tuple[Ratio, Ratio]
    line: Ratio
    line_low: Range  # Hz
    line_high: Range  # Hz
    codec: Ratio
    codecs: dict[Codec, tuple[Count, ...]]  # bit/s


class Loss(_Section):
    """Weights of the loss's parts."""

    vector: float
    similarity: float
    classes: float
    scale: Positive
    margin: float
    alike: float
    hints: float


class Optimiser(_Section):
    """Rates and schedule: warm-up, stable, decay."""

    matrix_rate: Positive
    rate: Positive
    weight_decay: float
    warmup: Count  # steps
    steps: Count
    decay: Count  # steps
    average: Ratio


class Watch(_Section):
    """How progress is measured."""

    every: Count  # steps
    save_seconds: Positive
    validation_segment: Positive  # s
    segment: Positive  # s
    altered_snr: tuple[float, float]  # dB
    draws: Count


class TelephoneSettings(_Section):
    """The telephone of the evaluation."""

    band: Range  # Hz
    level: float  # dB of full scale
    codecs: tuple[Codec, ...]
    bit_rate: Count


class Recipe(_Section):
    """All of recipe.yaml."""

    seed: Annotated[int, Field(ge=0)]
    split: Split
    speech: Speech
    warps: Warps
    start: str | None  # SHA-256
    crops: Crops
    rooms: RoomSettings
    channels: ChannelSettings
    loss: Loss
    hints: Count  # dimensions
    hint_batches: Count
    hint_ridge: Positive
    lift: float  # of the codes' axes, in standard deviations
    optimiser: Optimiser
    watch: Watch
    telephone: TelephoneSettings


def load_recipe(path: Path = RECIPE) -> Recipe:
    """Read and check the recipe; raises ConfigError naming each bad key."""
    try:
        return Recipe.model_validate(parse_yaml(path.read_text(encoding="utf-8")))
    except (ValidationError, YAMLError) as error:
        raise ConfigError(f"{path}: {error}") from error
