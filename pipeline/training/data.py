"""What a run trains on: the vectors of both stores, the training pairs that name their rows, and batches of them."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from pipeline.files import sha256_hex
from pipeline.methods import Batch, Method, Sizes, method_class
from pipeline.settings import RunSettings
from pipeline.training.lists import TrainingLists


class TrainingData:
    """The stores on a device, and the training pairs that point into them."""

    def __init__(
        self,
        settings: RunSettings,
        lists: TrainingLists,
        faces: np.ndarray,
        voices: np.ndarray,
        device: torch.device,
    ) -> None:
        self.settings, self.lists = settings, lists
        counts = {name: int(values.max(initial=-1)) + 1 for name, values in lists.traits.items()}
        self.sizes = Sizes(faces.shape[1], voices.shape[1], lists.class_count, counts)
        self.traits = {name: torch.from_numpy(values).to(device) for name, values in lists.traits.items()}
        self.device = device
        self.faces, self.voices = (torch.from_numpy(part).to(device) for part in (faces, voices))
        self.both: Tensor | None = None  # (M, D) faces and then voices of the pairs, for samples of both modalities
        self._rows_of = {"face": lists.face_rows, "voice": lists.voice_rows}  # of a pair's samples, in what they are in
        if settings.modality == "both" and method_class(settings.method).takes == "samples":
            self._stack()

    def batches(self, method: Method, epoch: int, seed: int) -> Iterator[Batch]:
        """The batches of epoch `epoch` (from 0) as the method plans them for a seed."""
        plan = method.plan(self.settings, self.lists.classes, epoch, seed)
        makes = self._pairs if method.takes == "pairs" else self._samples
        for rows in zip(*self._rows(method, plan.pair, plan.voice), strict=True):
            yield makes(*rows)

    def whole(self, method: Method) -> Batch:
        """All of it at once: every pair, or the face of every pair and then the voice of every pair."""
        pair = np.arange(len(self.lists.classes))
        voice = np.full(len(pair), self.settings.modality == "voice")
        if method.takes == "samples" and self.settings.modality == "both":
            pair, voice = np.concatenate([pair, pair]), np.repeat([False, True], len(pair))
        rows = self._rows(method, pair, voice)
        return self._pairs(*rows) if method.takes == "pairs" else self._samples(*rows)

    def digest(self) -> str:
        """Hex SHA-256 of the stores, the lists and the traits."""
        parts: list[object] = [self.lists.digest()]
        for name, values in (("faces", self.faces), ("voices", self.voices), *sorted(self.traits.items())):
            parts += [f"{name}{tuple(values.shape)}", values.cpu().contiguous().numpy().data]
        return sha256_hex(*parts)

    def _rows(self, method: Method, pair: NDArray[np.int64], voice: NDArray[np.bool_]) -> tuple[Tensor, ...]:
        """What `_pairs` or `_samples` takes, for batches (steps, B) of pairs at once: an epoch is moved as a whole.

        A step would wait for three small arrays otherwise, on a GPU for three copies.
        """
        faces, voices = (self._rows_of[modality][pair] for modality in ("face", "voice"))
        labels = self._tensor(self.lists.classes[pair])
        if method.takes == "pairs":
            return labels, self._tensor(faces), self._tensor(voices)
        return labels, self._tensor(np.where(voice, voices, faces)), self._tensor(voice)

    def _pairs(self, labels: Tensor, faces: Tensor, voices: Tensor) -> Batch:
        sides = self.faces.index_select(0, faces), self.voices.index_select(0, voices)
        return Batch(labels, None, None, *sides, self._traits(labels))

    def _samples(self, labels: Tensor, rows: Tensor, voice: Tensor) -> Batch:
        single = self.voices if self.settings.modality == "voice" else self.faces
        samples = (single if self.both is None else self.both).index_select(0, rows)
        return Batch(labels, samples, voice, None, None, self._traits(labels))

    def _stack(self) -> None:
        """Copy the rows that pairs name, the narrower padded with zeros: a store may hold ten times as many."""
        parts, start = [], 0
        for modality, store in (("face", self.faces), ("voice", self.voices)):
            used, where = np.unique(self._rows_of[modality], return_inverse=True)
            part = store.index_select(0, self._tensor(used))
            parts.append(F.pad(part, (0, self.sizes.padded - part.shape[1])))
            self._rows_of[modality] = start + where
            start += len(used)
        self.both = torch.cat(parts)

    def _traits(self, labels: Tensor) -> dict[str, Tensor]:
        return {name: values[labels] for name, values in self.traits.items()}

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(values).to(self.device)
