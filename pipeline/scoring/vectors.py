"""New media to the vectors that a model takes: made as those that it was trained on, which its file describes.

Nothing is read from params.yaml. Extractors, their options and weights, the sampling of frames and the reading of
waveforms come from the model's provenance, and what is built from it must have the same fingerprints. Media go through
the steps of the pipeline (pipeline.extraction.steps) and its item cache: a file has the vectors, to the byte, that it
has in a store, and is extracted once.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from extractors.faces.face import DETECTORS, FACE_EXTRACTORS
from extractors.registry import ExtractorT, Registry
from extractors.voices.voice import VOICE_EXTRACTORS
from pipeline.errors import CheckpointError, ConfigError, MediaError
from pipeline.extraction.decoding import SampleFrames
from pipeline.extraction.face_table import LANDMARKS, FoundFaces, faceless
from pipeline.extraction.item_cache import Arrays, ItemCache
from pipeline.extraction.loop import extract
from pipeline.extraction.skips import Skip
from pipeline.extraction.steps import (
    EmbeddingFaces,
    EmbeddingVoices,
    FaceDetection,
    FaceEmbedding,
    VoiceEmbedding,
)
from pipeline.extraction.tasks import Task
from pipeline.extraction.work import Work
from pipeline.files import sha256_of
from pipeline.runtime.workspace import items_path
from pipeline.scoring.provenance import RELEASED, Provenance, check_provenance, described
from pipeline.scoring.similarity import Matrix

_QUIET = 2.0  # s before a bar shows

PayloadT = TypeVar("PayloadT")
StepT = TypeVar("StepT", FaceEmbedding, VoiceEmbedding)


@dataclass(frozen=True)
class Medium:
    """A file to take vectors of."""

    item: str  # its path as the user wrote it
    path: Path
    digest: str  # SHA-256 of its bytes
    size: int  # bytes
    duration: float | None = None  # s, where a header was read


def medium_of(path: Path, item: str) -> Medium:
    """The file at `path`, whose bytes are read once; raises MediaError for one that is absent, no file or closed."""
    try:
        if not path.is_file():
            lacks = "is no file" if path.exists() else "does not exist"
            raise MediaError(f"{item or 'an empty path'}: {lacks}; name an image, video or sound")
        return Medium(item, path, sha256_of(path), path.stat().st_size)
    except OSError as error:
        raise MediaError(f"{item}: cannot be read ({error.strerror})") from error


@dataclass(frozen=True)
class Extracted:
    """Results by item, and the media that have none."""

    results: dict[str, Arrays]
    skips: list[Skip]


class MediaVectors:
    """Vectors of media by the extractors of one model. Each is loaded when a medium of its modality first comes."""

    def __init__(self, provenance: Provenance, where: str, device: torch.device) -> None:
        """`where` names the model in messages."""
        self._provenance = provenance
        self._where = where
        self._device = device

    def extract(self, modality: str, media: Sequence[Medium]) -> Extracted:
        """Results (embeddings (n, D), frame (n,)) of modality face | voice by item, and the media that have none.

        Raises CheckpointError where this checkout cannot make vectors such as the model was trained on, WeightsError
        where an extractor's weights cannot be had.
        """
        read = self._faces if modality == "face" else self._voices
        with ItemCache(items_path()) as cache:
            return read(media, cache)

    def extractor(self, modality: str) -> EmbeddingFaces | EmbeddingVoices:
        """The extractor of modality face | voice, as the model was trained with; raises as `extract` does."""
        return self._face_steps[1].extractor if modality == "face" else self._voice_step.extractor

    def _voices(self, media: Sequence[Medium], cache: ItemCache) -> Extracted:
        step = self._voice_step
        return _extracted(step.work, step.tasks(media, _place), cache)

    def _faces(self, media: Sequence[Medium], cache: ItemCache) -> Extracted:
        detection, embedding = self._face_steps
        detected = _extracted(detection.work, detection.tasks(media, _place), cache)
        looked_at = [faceless(item, result) for item, result in detected.results.items()]
        without = [skip for skip in looked_at if skip is not None]
        empty = {skip.item for skip in without}
        found = [
            (medium, _found(detected.results[medium.item]))
            for medium in media
            if medium.item in detected.results.keys() - empty
        ]
        embedded = _extracted(embedding.work, embedding.tasks(found, _place), cache)
        return Extracted(embedded.results, [*detected.skips, *without, *embedded.skips])

    @cached_property
    def _face_steps(self) -> tuple[FaceDetection, FaceEmbedding]:
        origin = self._origin("face")
        detector = origin.get("detector")
        if not isinstance(detector, Mapping):
            raise self._not_here("face", "it names no detector")
        sample = SampleFrames(float(str(detector["frame_rate"])), int(str(detector["max_frames"])))
        detection = FaceDetection(self._build(DETECTORS, "face", detector), sample)
        step = FaceEmbedding(self._build(FACE_EXTRACTORS, "face", origin), detection.made_by())
        return detection, self._checked("face", step)

    @cached_property
    def _voice_step(self) -> VoiceEmbedding:
        origin = self._origin("voice")
        reading = origin.get("reading")
        if not isinstance(reading, Mapping):
            raise self._not_here("voice", "it does not say how waveforms were read")
        extractor = self._build(VOICE_EXTRACTORS, "voice", origin)
        return self._checked("voice", VoiceEmbedding(extractor, bool(reading["remove_offset"]), bool(reading["trim"])))

    def _origin(self, modality: str) -> Mapping[str, object]:
        """What the model was trained on, of one modality."""
        origin = self._provenance.get(modality, {})
        if origin.get(RELEASED):
            raise self._not_here(modality, "a released checkpoint does not hold its authors' extractors; evaluate it")
        if "fingerprint" not in origin:
            raise self._not_here(modality, "no extractor made them")
        return origin

    def _build(self, registry: Registry[ExtractorT], modality: str, origin: Mapping[str, object]) -> ExtractorT:
        """The extractor of a record, with its own options."""
        options = origin.get("options")
        try:
            return registry.build(
                str(origin["extractor"]), options if isinstance(options, Mapping) else {}, self._device
            )
        except ConfigError as error:
            raise self._not_here(modality, str(error)) from error

    def _checked(self, modality: str, step: StepT) -> StepT:
        """The step, if its vectors are as those the model was trained on."""
        trained = {modality: self._origin(modality)}
        check_provenance(trained, {modality: step.made_by()}, self._where)
        return step

    def _not_here(self, modality: str, reason: str) -> CheckpointError:
        origin = described(self._provenance.get(modality, {}))
        return CheckpointError(
            f"{self._where} was trained on {modality} vectors of {origin}, which cannot be made here of media: {reason}"
        )


def mean_vector(vectors: Sequence[Matrix]) -> Matrix:
    """One vector (D,) of unit norm of several files' vectors (n, D): each file's mean, then the mean of the files.

    A lone vector is left as it is. A file counts once, however many frames it has: they are nearly alike. Raises
    MediaError for vectors that cancel out.
    """
    return _direction(np.stack([_direction(matrix) for matrix in vectors]))


def _direction(matrix: Matrix) -> Matrix:
    if len(matrix) == 1:
        return np.asarray(matrix[0])
    mean = matrix.mean(axis=0, dtype=np.float64)
    length = np.linalg.norm(mean)
    if not length > 0:
        raise MediaError("the vectors of these media cancel out: they have no mean to score")
    return np.asarray(mean / length, dtype=np.float32)


def refuse_skips(skips: Sequence[Skip]) -> None:
    """Raise MediaError, with the reason of each, if a medium gave no vector."""
    if skips:
        raise MediaError("; ".join(f"{skip.item}: {skip.reason}" for skip in skips))


def _extracted(work: Work[PayloadT], tasks: Iterable[Task[PayloadT]], cache: ItemCache) -> Extracted:
    extraction = extract(replace(work, delay=_QUIET), list(tasks), cache)
    return Extracted({item: arrays for item, _, arrays in extraction.results(cache)}, extraction.skips)


def _found(result: Arrays) -> FoundFaces:
    return result["frame"], result["box"], result["landmarks"].reshape(-1, len(LANDMARKS), 2)


def _place(medium: Medium) -> Path:
    return medium.path
