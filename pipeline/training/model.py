"""A trained run on disk and in use: S networks, one for each seed, in one safetensors file."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from pipeline.errors import CheckpointError, StoreError
from pipeline.files import atomic_path
from pipeline.methods import Network, Sizes, stacked_network, unstacked
from pipeline.settings import TrainSettings
from pipeline.training.threads import one_thread
from pipeline.training.validation import embed

MODEL = "model.safetensors"
_FORMAT = 1
_KEY = "sbnet"  # the one metadata key: safetensors writes several in an order that changes from run to run
Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Model:
    """S trained networks; network s was trained with settings.seeds[s] and is the one after chosen_epoch[s] epochs."""

    stacked: Network
    settings: TrainSettings
    sizes: Sizes
    chosen_epoch: tuple[int, ...]

    def embed_faces(self, matrix: Matrix) -> Matrix:
        """Face vectors (N, D) to (S, N, E): unit norm; with gated fusion the tanh of such, what its test compares."""
        return self._embed("face", matrix)

    def embed_voices(self, matrix: Matrix) -> Matrix:
        """Voice vectors (N, D) to (S, N, E): unit norm; with gated fusion the tanh of such."""
        return self._embed("voice", matrix)

    @staticmethod
    def score(left: Matrix, right: Matrix) -> Matrix:
        """Minus the squared L2 distance of embeddings (..., E) and (..., E): higher means the same person."""
        score: Matrix = -np.square(left - right).sum(axis=-1)
        return score

    def network(self, index: int) -> Network:
        """Network `index` as plain torch layers, in evaluation mode."""
        return unstacked(self.stacked, self.settings, self.sizes, index)

    def _embed(self, side: str, matrix: Matrix) -> Matrix:
        single = self.settings.branch == "single"
        shared = self.sizes.voice if self.settings.modality == "voice" else self.sizes.face
        wanted = shared if single else getattr(self.sizes, side)
        if matrix.ndim != 2 or matrix.shape[1] != wanted:
            raise StoreError(f"the model takes {side} vectors (N, {wanted}), found {matrix.shape}")
        device = next(self.stacked.parameters()).device
        with one_thread():
            vectors = torch.from_numpy(np.ascontiguousarray(matrix, dtype=np.float32)).to(device)
            return embed(self.stacked, side, vectors, len(self.settings.seeds))


def save_model(path: Path, model: Model) -> None:
    """Write a model whole or not at all; raises CheckpointError for weights that are not finite."""
    state = {name: value.cpu().contiguous() for name, value in model.stacked.state_dict().items()}
    if poisoned := [name for name, value in state.items() if not bool(torch.isfinite(value).all())]:
        raise CheckpointError(
            f"{path}: {poisoned[0]} is not finite, so training went astray: lower train.learning_rate"
        )
    described = {
        "format": _FORMAT,
        "settings": model.settings.model_dump(),
        "sizes": vars(model.sizes),
        "classes": model.sizes.classes,
        "seeds": model.settings.seeds,
        "chosen_epoch": list(model.chosen_epoch),
        "selection": model.settings.selection,
    }
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(state, metadata={_KEY: json.dumps(described, sort_keys=True)}))


def load_model(path: Path, device: torch.device | None = None) -> Model:
    """Read a trained run, ready to embed.

    Raises CheckpointError for a file that is absent, damaged, poisoned (values not finite), or of another network than
    it says.
    """
    try:
        with safe_open(path, framework="pt") as file:
            described = json.loads((file.metadata() or {})[_KEY])
            names = file.keys()
            state = {name: file.get_tensor(name) for name in names}
        if described["format"] != _FORMAT:
            raise CheckpointError(f"{path} is of format {described['format']}, we read {_FORMAT}: train again")
        settings, sizes = TrainSettings.model_validate(described["settings"]), Sizes(**described["sizes"])
        stacked = stacked_network(settings, sizes, [torch.Generator() for _ in settings.seeds])
        stacked.load_state_dict(state)
        chosen = tuple(int(epoch) for epoch in described["chosen_epoch"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError, ValidationError) as error:
        raise CheckpointError(f"{path} cannot be read as a trained run ({error}); train it again") from error
    if poisoned := [name for name, value in state.items() if not bool(torch.isfinite(value).all())]:
        raise CheckpointError(f"{path}: {poisoned[0]} holds values that are not finite; train it again")
    stacked.to(device or torch.device("cpu")).eval()
    return Model(stacked, settings, sizes, chosen)
