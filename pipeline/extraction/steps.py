"""The steps of extraction on rows that describe media: detect faces, embed them, embed voices.

Stages take them with the manifest's rows, pipeline.scoring with new media, so that both get the same vectors of a file,
under the same keys of the item cache and with the same provenance.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from pipeline.errors import ConfigError, MediaError
from pipeline.extraction.decoding import CutFaces, Prepared, PrepareFace, PrepareVoice, ReadUtterance, SampleFrames
from pipeline.extraction.face_table import Detect, Face, FoundFaces
from pipeline.extraction.fingerprint import fingerprint_of
from pipeline.extraction.item_cache import Arrays
from pipeline.extraction.packing import Embed, Outcomes
from pipeline.extraction.tasks import Task, task_of
from pipeline.extraction.work import Work, items_at_once
from pipeline.media import SampledFrame

if TYPE_CHECKING:
    import torch

PayloadT = TypeVar("PayloadT")

_DIGITS = 12  # of a fingerprint, in a message
Place = Callable[[Any], Path]  # a row -> its file
_CROPPED_AT_ONCE = 8  # times as many items as otherwise fill a GPU: an image is one crop, of 77 kB, and no whole frames


class Extracting(Protocol):
    """What every extractor is, see extractors.base."""

    @property
    def device(self) -> "torch.device":
        """Where its networks are."""
        ...

    @property
    def options(self) -> Any:
        """What it was made of, beside the device."""
        ...

    @property
    def backend(self) -> str | None:
        """What its networks run in, for the record."""
        ...

    @property
    def independent(self) -> bool:
        """Whether what it gives of an item has the same bytes whatever else is in the call."""
        ...

    def fingerprint(self) -> str:
        """Digest of all that decides a result but the medium."""
        ...

    def provenance(self) -> dict[str, object]:
        """What a store says of it."""
        ...


class Detecting(Extracting, Protocol):
    """A face detector."""

    @property
    def sees_pixels(self) -> bool:
        """Whether it looks at more of a frame than its size."""
        ...

    def __call__(self, frames: Sequence[np.ndarray]) -> Sequence[Face | None]:
        """The face of each frame, or None."""
        ...


class Embedding(Extracting, Protocol):
    """An extractor of vectors."""

    @property
    def dimension(self) -> int:
        """Width of its vectors."""
        ...

    def __call__(self, batch: Sequence[np.ndarray]) -> Outcomes:
        """A vector of each input."""
        ...


class EmbeddingFaces(Embedding, Protocol):
    """A face extractor."""

    def preparer(self) -> PrepareFace:
        """What makes its input of a face in a frame."""
        ...


class EmbeddingVoices(Embedding, Protocol):
    """A voice extractor."""

    @property
    def sample_rate(self) -> int:
        """Hz, of the waveforms that it takes."""
        ...

    def preparer(self) -> PrepareVoice:
        """What makes its input of a waveform."""
        ...


@dataclass(frozen=True)
class FaceDetection:
    """Sampled frames to face boxes."""

    detector: Detecting
    sample: SampleFrames

    @property
    def work(self) -> Work[list[SampledFrame]]:
        """What the loop of extraction does."""
        return _work("detect_faces", Detect(self.detector), self.detector, partial(FaceDetection, sample=self.sample))

    def tasks(self, rows: Iterable[Any], place: Place) -> Iterator[Task[list[SampledFrame]]]:
        """One a row."""
        sample = replace(self.sample, pixels=self.detector.sees_pixels)
        fingerprints = self.detector.fingerprint(), fingerprint_of(sample)
        return (task_of(row, place(row), sample, *fingerprints) for row in rows)

    def made_by(self) -> dict[str, object]:
        """What the table of faces says of them: detector and sampling."""
        sampling = {"frame_rate": self.sample.frame_rate, "max_frames": self.sample.max_frames}
        return {**self.detector.provenance(), **sampling}


@dataclass(frozen=True)
class FaceEmbedding:
    """Detected faces to vectors."""

    extractor: EmbeddingFaces
    detected_by: Mapping[str, object]  # FaceDetection.made_by

    @property
    def work(self) -> Work[Prepared]:
        """What the loop of extraction does."""
        again = partial(FaceEmbedding, detected_by=self.detected_by)
        more = 1 if self.extractor.device.type == "cpu" else _CROPPED_AT_ONCE
        return _work("embed_faces", Embed(self.extractor), self.extractor, again, more)

    def tasks(self, faces: Iterable[tuple[Any, FoundFaces]], place: Place) -> Iterator[Task[Prepared]]:
        """One a row, with the faces that were found in its medium."""
        fingerprint, prepare = self.extractor.fingerprint(), self.extractor.preparer()
        return (task_of(row, place(row), CutFaces(prepare, *found), fingerprint) for row, found in faces)

    def made_by(self) -> dict[str, object]:
        """What a store says of its vectors."""
        detector = dict(self.detected_by)
        return {**self.extractor.provenance(), "dimension": self.extractor.dimension, "detector": detector}


@dataclass(frozen=True)
class VoiceEmbedding:
    """Utterances to vectors."""

    extractor: EmbeddingVoices
    remove_offset: bool
    trim: bool

    @property
    def work(self) -> Work[Prepared]:
        """What the loop of extraction does."""
        again = partial(VoiceEmbedding, remove_offset=self.remove_offset, trim=self.trim)
        return _work("embed_voices", Embed(self.extractor), self.extractor, again)

    def tasks(self, rows: Iterable[Any], place: Place) -> Iterator[Task[Prepared]]:
        """One a row."""
        read = ReadUtterance(self.extractor.preparer(), self.extractor.sample_rate, self.remove_offset, self.trim)
        fingerprints = self.extractor.fingerprint(), fingerprint_of(read)
        return (task_of(row, place(row), read, *fingerprints) for row in rows)

    def made_by(self) -> dict[str, object]:
        """What a store says of its vectors."""
        return {
            **self.extractor.provenance(),
            "dimension": self.extractor.dimension,
            "sample_rate": self.extractor.sample_rate,
            "reading": {"remove_offset": self.remove_offset, "trim": self.trim},
        }


def _work(
    stage: str,
    infer: Callable[[Sequence[PayloadT]], Sequence[Arrays | MediaError]],
    extractor: Extracting,
    again: Callable[[Any], Any],
    more: int = 1,
) -> Work[PayloadT]:
    """Work of an extractor, `more` times as many items at once as usual; `again` makes another extractor's step."""
    return Work(
        stage,
        infer,
        more * items_at_once(extractor.device.type, extractor.independent),
        describe=lambda: _Description(again, type(extractor), extractor.options, extractor.fingerprint()),
        backend=extractor.backend,
        ran_in=lambda backend: setattr(extractor, "backend", backend),
    )


@dataclass(frozen=True)
class _Description:
    """A step as it can be sent: its own settings, and class and options of its extractor in the model's place."""

    step: Callable[[Any], Any]  # extractor -> step
    extractor: Callable[[Any, "torch.device"], Extracting]
    options: Any
    fingerprint: str

    def __call__(self) -> Work[Any]:
        """The step's work with a model loaded here; raises ConfigError where that would give other results."""
        from pipeline.runtime.device import select_device  # torch: not where steps are only described

        extractor = self.extractor(self.options, select_device())
        if (found := extractor.fingerprint()) != self.fingerprint:
            raise ConfigError(
                f"its extractor gives other vectors than the stage's: fingerprint {found[:_DIGITS]}, not "
                f"{self.fingerprint[:_DIGITS]}; code, weights and options must be the same on every node"
            )
        work: Work[Any] = self.step(extractor).work
        return work
