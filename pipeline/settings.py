"""The sections of params.yaml as frozen, validated models: one class a section, one field a key.

Defaults live in params.yaml alone, so that the file shows every number a person may change; a missing key is an error.
"""

import math
import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

ItemT = TypeVar("ItemT")

LISTED = "artifacts/media.json"  # manifest.media, where stages.media watches the folder in DVC's place


def _distinct(values: Sequence[ItemT]) -> Sequence[ItemT]:
    if repeated := [value for position, value in enumerate(values) if value in values[:position]]:
        raise ValueError(f"{repeated[0]!r} is there twice: it would count twice, as if it were another one")
    return values


def _none_is_empty(columns: object) -> object:
    return {} if columns is None else columns  # `columns:` with every line below it removed


def _run_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]*", name):
        raise ValueError("name a run with letters, digits, _ and - only")
    return name


FUSED = "fusion"  # method and loss of a run that scores by several others
Distinct = AfterValidator(_distinct)
Ratio = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Kind = Literal["video", "audio", "image"]  # of a medium; here, so that settings are read without a media library
# A run's name is a folder, an argument of its stages and a key to DVC, which takes a point for a level of params.yaml.
RunName = Annotated[str, AfterValidator(_run_name)]


class Section(BaseModel):
    """A section of params.yaml: unknown keys and infinite numbers refused, nothing coerced, fixed once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class FeaturesSettings(Section):
    """`features:` where the embeddings come from."""

    source: Literal["media", "csv"]  # csv: the official feature files instead of extraction
    folder: Annotated[str, Field(min_length=1)]  # csv: holds face/, voice/ and, where you have them, veriflist/


class ManifestSettings(Section):
    """`manifest:` where the media are and how their folders are read."""

    media: Annotated[str, Field(min_length=1)]  # folder, relative to the project or absolute; or LISTED
    listed: dict[str, str]  # name: folder; what DVC then depends on is a digest of its files
    layout: str  # a file of pipeline/manifest/layouts
    table: Annotated[str, Field(min_length=1)]  # layout csv: the user's own table of items; voxceleb1: vox1_meta.csv
    identities: Annotated[str, Field(min_length=1)]  # CSV of identity metadata (gender, nationality, age, language)
    columns: Annotated[dict[str, str], BeforeValidator(_none_is_empty)]  # our metadata name -> that CSV's column
    max_skip_ratio: Ratio

    @property
    def folder(self) -> str:
        """The folder of the media."""
        return next(iter(self.listed.values()), self.media)

    @model_validator(mode="after")
    def _listed_folder(self) -> "ManifestSettings":
        if len(self.listed) > 1:
            raise ValueError(f"listed names {len(self.listed)} folders; there can be one")
        if bool(self.listed) != (self.media == LISTED):
            raise ValueError(f"media must be {LISTED} where listed names a folder, and a folder where it does not")
        return self


class ExtractorSettings(Section):
    """A section that names an extractor: keys that every one has; all others are `options`, the extractor's own.

    They are checked by the extractor named (extractors.registry), where a stage makes it: its class may need a library
    that other stages do without.
    """

    model_config = ConfigDict(extra="allow")

    max_skip_ratio: Ratio

    @property
    def options(self) -> dict[str, object]:
        """The keys that are not the section's own."""
        return dict(self.model_extra or {})


class DetectFacesSettings(ExtractorSettings):
    """`detect_faces:` which frames are sampled, and the detector."""

    detector: str
    frame_rate: Positive  # Hz, frames sampled per second of video
    max_frames: Count  # per clip, spread evenly over it


class EmbedFacesSettings(ExtractorSettings):
    """`embed_faces:` the extractor that makes a vector of a chosen face."""

    extractor: str


class EmbedVoicesSettings(ExtractorSettings):
    """`embed_voices:` the extractor that makes a vector of an utterance."""

    extractor: str
    remove_offset: bool  # subtract the constant (DC) offset of an utterance
    trim: bool  # leave out the silent parts of an utterance


class ProtocolSettings(Section):
    """`protocol:` identity-disjoint splits, training pairs, trials and galleries."""

    source: str  # name of a file's source in pipeline/protocol/sources
    # voxceleb_lists: folder with Splits/, veriflist/, matching/; mavceleb_lists: with <Language>_train.txt
    lists: Annotated[str, Field(min_length=1)]
    max_skip_ratio: Ratio  # mavceleb_lists: of a list's rows whose media are not in the stores
    seed: Seed
    validation_ratio: Ratio  # of the identities
    test_ratio: Ratio  # of the identities: unseen and unheard
    seen_heard_clips: Ratio  # of a training identity's clips, kept out of training for seen-heard trials
    pairs_per_identity: Count  # training pairs, at most
    trials: Annotated[int, Field(ge=2)]  # genuine plus impostor, per list, at most
    galleries: Count  # matching probes per direction, at most
    gallery_size: Annotated[int, Field(ge=2)]  # candidates; N < size uses the first N
    criteria: Annotated[list[str], Field(min_length=1), Distinct]  # names of pipeline/protocol/vocabulary.py
    age_bin: Positive  # years; two people in one bin count as of the same age

    @model_validator(mode="after")
    def _random_list_is_drawn(self) -> "ProtocolSettings":
        if "random" not in self.criteria:
            raise ValueError("criteria must hold random: models are chosen and runs compared on that list")
        return self

    @model_validator(mode="after")
    def _identities_remain_for_training(self) -> "ProtocolSettings":
        if self.validation_ratio + self.test_ratio >= 1.0:
            raise ValueError("validation_ratio + test_ratio leave no training identities: lower one of them")
        return self


ALL_LANGUAGES = "all"


class TrainSettings(Section):
    """`train:` what every run has; every key may be overridden by a recipe and by a run of `experiments:`."""

    recipe: str  # name under `recipes:`
    method: str  # name under `methods:`
    modality: Literal["both", "face", "voice"]
    language: Annotated[str, Field(min_length=1)]  # ALL_LANGUAGES, or the one of the training pairs
    loss: str  # name under `losses:`
    order: Literal["vfvf", "fvfv", "random", "hefhev", "hevhef", "alternate", "identity_uniform"]
    alternate_epochs: Count  # order alternate: k epochs on one modality, then k on the other
    shuffle: Literal["epoch", "once"]
    epochs: Count
    batch_size: Annotated[int, Field(ge=2)]
    learning_rate: Positive
    decay: Annotated[float, Field(gt=0.0, le=1.0)]  # factor on the learning rate after each epoch
    weight_decay: Annotated[float, Field(ge=0.0)]
    seeds: Annotated[list[Seed], Field(min_length=1), Distinct]  # reported as mean and deviation
    ensemble: Literal["none", "seeds"]  # seeds: their networks score as one, by the mean of their scores
    selection: Literal["validation", "test", "last"]  # test: under recipe official only
    calibration_prior: Annotated[float, Field(gt=0.0, lt=1.0)]  # of a genuine pair, where LLRs should be right

    @model_validator(mode="after")
    def _only_official_models_are_chosen_on_the_test_list(self) -> "TrainSettings":
        if self.selection == "test" and self.recipe != "official":
            raise ValueError(
                f"selection test exists under recipe official only, not {self.recipe}: use validation or last"
            )
        return self


_OF_ORDER = {"order", "alternate_epochs"}
_OF_EPOCHS = {"shuffle", "epochs", "batch_size", "learning_rate", "decay", "weight_decay", "loss", "loss_options"}


class RunSettings(TrainSettings):
    """All that one run depends on: its keys of `train:`, and the options of its own method and loss."""

    method_options: dict[str, object]  # methods.<method>
    loss_options: dict[str, object]  # losses.<loss>
    checkpoint: str | None = None  # a released checkpoint, used instead of training; `path` or `path#sha256`
    fusion: dict[str, dict[str, object]] | None = None  # of a run that scores by several others: their settings

    @property
    def judges(self) -> int:
        """How many scores it gives a pair: one a seed, or one in all."""
        return 1 if self.ensemble == "seeds" else len(self.seeds)

    def idle(self, takes: object, epochless: bool = False) -> set[str]:
        """Keys that do nothing in such a run, of a method that takes samples | pairs, epochless or not (see Method)."""
        alone = {"ensemble"} if len(self.seeds) == 1 else set()
        if epochless:
            return alone | _OF_ORDER | _OF_EPOCHS
        ordered = takes != "pairs" and self.modality == "both"
        if not ordered and self.order != "identity_uniform":
            alone |= {"order"}
        return alone if ordered and self.order == "alternate" else alone | {"alternate_epochs"}


class EvaluateSettings(Section):
    """`evaluate:` what is measured on the trials."""

    rates: Literal["exact", "official_grid"]  # from the ROC; ten folds on thresholds 0.01 apart, exact rates beside
    matching_sizes: Annotated[list[Annotated[int, Field(ge=2)]], Field(min_length=1), Distinct]
    retrieval_rows: Annotated[int, Field(ge=2)]  # queries, and items of the gallery, at most
    bootstrap: Annotated[int, Field(ge=0)]  # resamples over identities; 0: no intervals
    confidence: Annotated[float, Field(gt=0.0, lt=1.0)]
    dcf_target: Annotated[float, Field(gt=0.0, lt=1.0)]  # prior of a genuine trial in minDCF
    seed: Seed

    @model_validator(mode="after")
    def _enough_resamples(self) -> Self:
        """An end of an interval needs a resample beyond it: 40 for 95 %."""
        least = math.ceil(2.0 / (1.0 - self.confidence) - 1e-9)
        if 0 < self.bootstrap < least:
            raise ValueError(
                f"bootstrap {self.bootstrap} gives no interval of {self.confidence:g}: {least} at least, or 0"
            )
        return self


class ReportSettings(Section):
    """`report:` the page and its tables."""

    title: Annotated[str, Field(min_length=1)]


class TrialsSettings(Section):
    """`trials:` the page of one run's surest errors."""

    run: RunName | None  # of experiments:; None: the first of them
    media: bool  # faces and voices are copied into the page
    shown: Count  # wrong accepts and wrong rejects of each list, and galleries of each direction
    seconds: Positive  # s of a voice
    side: Annotated[int, Field(ge=16, le=320)]  # px, the longer one of a thumbnail


class Params(Section):
    """The whole of params.yaml."""

    features: FeaturesSettings
    manifest: ManifestSettings
    detect_faces: DetectFacesSettings
    embed_faces: EmbedFacesSettings
    embed_voices: EmbedVoicesSettings
    protocol: ProtocolSettings
    train: TrainSettings
    recipes: dict[str, dict[str, object]]
    methods: dict[str, dict[str, object]]  # options by name; the method's own class validates them
    losses: dict[str, dict[str, object]]  # options by name; the loss's own class validates them
    experiments: Annotated[dict[RunName, dict[str, object]], Field(min_length=1)]
    # Two each, because dvc.yaml, which knows no lists of dependencies, names the first and the second.
    fusions: dict[RunName, Annotated[list[str], Field(min_length=2, max_length=2)]]
    evaluate: EvaluateSettings
    report: ReportSettings
    trials: TrialsSettings

    @property
    def runs(self) -> list[str]:
        """Names of all runs, those that are trained first."""
        return [*self.experiments, *self.fusions]


def is_inside(path: PurePosixPath) -> bool:
    """Whether a relative path stays below the folder it is relative to, judged by its text alone."""
    return not path.is_absolute() and ".." not in path.parts
