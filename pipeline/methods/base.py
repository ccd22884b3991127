"""What a method is. A new one is a file in this folder and a section of its options under `methods:` in params.yaml.

Training asks a method for its batches, its optimisers and its step; evaluation, scoring and the report ask it to embed
faces and voices into one space or, without such a space, to score a probe against candidates. They know no more of it.
What a method does not say, it takes from here: shuffled samples or pairs, one Adam over all parameters, one loss.
An option that comes later has, in Options, the value that older models were made with, so that they still load.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.config import validate
from pipeline.errors import ConfigError
from pipeline.losses.base import Loss, LossInput, LossSizes
from pipeline.methods.adam import Adam
from pipeline.methods.orders import Plan, plan_of_pairs, plan_of_samples
from pipeline.registry import Registry
from pipeline.settings import RunSettings, Section


@dataclass(frozen=True)
class Sizes:
    """What the data decide of a method."""

    face: int  # width of a face vector
    voice: int  # width of a voice vector
    classes: int  # training identities
    traits: Mapping[str, int] = field(default_factory=dict)  # gender, nationality -> how many values training has

    @property
    def padded(self) -> int:
        """Width of a sample of either modality: the narrower one has zeros behind it, which keeps inner products."""
        return max(self.face, self.voice)


@dataclass(frozen=True)
class Batch:
    """Training data: samples of one modality each, or pairs of a face and a voice of one person."""

    labels: Tensor  # (B,) number of the identity, 0 to C - 1
    samples: Tensor | None  # (B, D), of a method that takes samples; the narrower modality padded where it sees both
    is_voice: Tensor | None  # (B,) bool, of samples
    faces: Tensor | None  # (B, face width), of a method that takes pairs
    voices: Tensor | None  # (B, voice width), of a method that takes pairs
    traits: Mapping[str, Tensor]  # gender, nationality -> (B,) number of its value, -1 where it is unknown


class Method(nn.Module, ABC):
    """A method, built once a seed; everything that it learns is a parameter or a buffer, and so saved and restored."""

    Options: ClassVar[type[Section]]  # its section of params.yaml
    takes: ClassVar[Literal["samples", "pairs"]] = "samples"  # what a batch holds; pairs need modality: both
    # embeddings: `embed` into one space, where minus the squared distance is the score. pairs: `score` of any pair.
    # galleries: `score` means something among the candidates of one probe only, so that matching alone is measured.
    compares: ClassVar[Literal["embeddings", "pairs", "galleries"]] = "embeddings"
    epochless: ClassVar[bool] = False  # True: `fit` sees all training data once; there is no step and no loss
    within: ClassVar[bool] = False  # True: it compares vectors of one modality; a run of both needs another method

    sizes: Sizes
    modality: str

    @abstractmethod
    def __init__(self, options: Section, sizes: Sizes, modality: str, generator: torch.Generator) -> None:
        """Build for data of `sizes` and modality both | face | voice; chance comes from `generator` alone."""
        super().__init__()
        self.sizes, self.modality = sizes, modality

    @property
    def width(self) -> int:
        """E, width of what a loss acts on."""
        raise NotImplementedError(f"{type(self).__name__} takes no loss")

    def plan(self, settings: RunSettings, labels: NDArray[np.int64], epoch: int, seed: int) -> Plan:
        """Which training pairs and modalities the batches of epoch `epoch` (from 0) hold; labels (N,) of the N pairs.

        A sampler of one's own goes here. It must follow from its arguments alone, so that a killed training resumes.
        `settings.order` means something to samples of both modalities only (but identity_uniform does everywhere),
        `alternate_epochs` to order alternate only: elsewhere they have a fixed value.
        """
        planned = plan_of_pairs if self.takes == "pairs" else plan_of_samples
        return planned(settings, labels, epoch, seed)

    def see(self, batch: Batch) -> LossInput:
        """A batch to what the loss acts on."""
        raise NotImplementedError(f"{type(self).__name__} neither says what a loss sees nor has a step of its own")

    def optimisers(self, loss: Loss, settings: RunSettings) -> dict[str, Adam]:
        """By name; their learning rate is set before each epoch. Here one, of all parameters, the loss's too."""
        named = {f"method.{name}": value for name, value in self.named_parameters()}
        named |= {f"loss.{name}": value for name, value in loss.named_parameters()}
        return {"adam": Adam(named, settings.weight_decay)}

    def training_step(self, batch: Batch, loss: Loss, optimisers: Mapping[str, Adam]) -> Tensor:
        """One step; the loss () without gradient. torch's global generator is seeded before each epoch."""
        return step(loss(self.see(batch)), optimisers)

    def fit(self, batch: Batch) -> None:
        """Learn from all training data at once, of an epochless method."""
        raise NotImplementedError(f"{type(self).__name__} is trained in steps")

    def embed(self, modality: str, vectors: Tensor) -> Tensor:
        """Vectors (N, face or voice width) of modality face | voice to what is compared, (N, E)."""
        raise NotImplementedError(f"{type(self).__name__} has no embedding: ask it for scores")

    def score(self, left: str, probes: Tensor, right: str, candidates: Tensor) -> Tensor:
        """Scores (P, G), higher for the same person, of probes (P, D) of modality `left` against their own candidates
        (P, G, D) of modality `right`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no scores: compare its embeddings")

    @property
    def remark(self) -> str:
        """What a table must say of it beside its figures, such as the covariates that it had; mostly nothing."""
        return ""

    def inputs(self, modality: str) -> int | None:
        """Width of the vectors of modality face | voice that `embed` and `score` take; None where they take none."""
        return self.sizes.face if modality == "face" else self.sizes.voice


def step(value: Tensor, optimisers: Mapping[str, Adam]) -> Tensor:
    """Move everything by the gradient of a loss (); the loss without it."""
    for optimiser in optimisers.values():
        optimiser.zero_grad()
    value.backward()  # type: ignore[no-untyped-call]  # torch leaves it without types
    for optimiser in optimisers.values():
        optimiser.step()
    return value.detach()


METHODS: Registry[type[Method]] = Registry("pipeline.methods", "train.method")
MethodT = TypeVar("MethodT", bound=type[Method])


def register(name: str) -> Callable[[MethodT], MethodT]:
    """Class decorator: make a method known under `name`, which its file is called, too."""

    def add(method: MethodT) -> MethodT:
        METHODS.add(name, method, method)
        return method

    return add


def method_class(name: str) -> type[Method]:
    """The method under `name`; raises ConfigError that lists the known ones."""
    return METHODS.find(name)


def build_method(settings: RunSettings, sizes: Sizes, generator: torch.Generator) -> Method:
    """The method of a run; raises ConfigError for an unknown name, options that it refuses or a modality it lacks."""
    method = method_class(settings.method)
    check_method(method, settings)
    options = validate(method.Options, settings.method_options, f"methods.{settings.method}")
    return method(options, sizes, settings.modality, generator)


def check_method(method: type[Method], settings: RunSettings) -> None:
    """Raise ConfigError for a modality or a choice of models that the method cannot have."""
    if method.takes == "pairs" and settings.modality != "both":
        raise ConfigError(
            f"method {settings.method} sees pairs of a face and a voice: modality {settings.modality} needs a method "
            "that takes samples, such as sbnet"
        )
    if method.within and settings.modality == "both":
        raise ConfigError(
            f"method {settings.method} compares vectors of one modality: give the run modality: face or voice"
        )
    if method.compares == "galleries" and settings.selection != "last":
        raise ConfigError(
            f"method {settings.method} scores galleries, not trials: it cannot be chosen on {settings.selection} "
            "trials; give it selection: last"
        )


def loss_sizes(method: Method) -> LossSizes:
    """What a loss must know of a method."""
    return LossSizes(method.width, method.sizes.classes)
