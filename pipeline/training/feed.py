"""Batches for S networks at once, each in the order of its own seed."""

import hashlib

import numpy as np
import torch
from torch import Tensor

from pipeline.methods import Sizes
from pipeline.settings import TrainSettings
from pipeline.training.lists import TrainingLists
from pipeline.training.orders import epoch_batches


class Feed:
    """The stores on a device, and the training pairs that point into them."""

    def __init__(
        self, settings: TrainSettings, lists: TrainingLists, faces: np.ndarray, voices: np.ndarray, device: torch.device
    ) -> None:
        self.settings, self.lists = settings, lists
        self.sizes = Sizes(faces.shape[1], voices.shape[1], lists.class_count)
        self.faces, self.voices = (torch.from_numpy(part).to(device) for part in (faces, voices))
        self.samples: Tensor | None = None  # faces above voices, for the branch that takes both
        if settings.branch == "single" and settings.modality == "both" and faces.shape[1] == voices.shape[1]:
            self.samples = torch.cat([self.faces, self.voices])
            self.faces, self.voices = self.samples[: len(faces)], self.samples[len(faces) :]  # views: stored once
        self.rows: tuple[Tensor, ...] = ()  # (S, steps, B) each
        self.labels = torch.empty(0)  # (S, steps, B)

    def start_epoch(self, epoch: int) -> int:
        """Lay out epoch `epoch` (from 0) for every seed; the number of its steps."""
        plans = [epoch_batches(self.settings, len(self.lists.classes), epoch, seed) for seed in self.settings.seeds]
        pair = np.stack([plan.pair for plan in plans])  # (S, steps, B)
        face, voice = self.lists.face_rows[pair], self.lists.voice_rows[pair]
        rows: tuple[np.ndarray, ...] = (face, voice)
        if self.settings.branch == "single":
            shift = len(self.faces) if self.samples is not None else 0
            rows = (np.where(np.stack([plan.voice for plan in plans]), voice + shift, face),)
        self.rows = tuple(torch.from_numpy(part).to(self.faces.device) for part in rows)
        self.labels = torch.from_numpy(self.lists.classes[pair]).to(self.faces.device)
        return int(pair.shape[1])

    def batch(self, step: int) -> tuple[Tensor, ...]:
        """What the network takes at a step: (S, B, D), or faces and voices (S, B, D) for two branches."""
        if self.settings.branch == "two":
            return _picked(self.faces, self.rows[0][:, step]), _picked(self.voices, self.rows[1][:, step])
        single = self.voices if self.settings.modality == "voice" else self.faces
        return (_picked(single if self.samples is None else self.samples, self.rows[0][:, step]),)

    def digest(self) -> str:
        """Hex SHA-256 of the stores and the lists."""
        state = hashlib.sha256(self.lists.digest().encode())
        for matrix in (self.faces, self.voices):
            state.update(f"{tuple(matrix.shape)}".encode() + matrix.cpu().contiguous().numpy().tobytes())
        return state.hexdigest()


def _picked(matrix: Tensor, rows: Tensor) -> Tensor:
    """matrix[rows], (S, B) to (S, B, D), four times as fast."""
    return matrix.index_select(0, rows.reshape(-1)).view(*rows.shape, -1)
