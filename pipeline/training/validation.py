"""How good each of the S networks is on trials, between epochs."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.methods import Network
from pipeline.metrics import equal_error_rate, roc_auc
from pipeline.training.lists import Trials

_ROWS = 4096  # embedded at once


@dataclass(frozen=True)
class Rates:
    """Of one network on one list, in percent."""

    eer: float
    auc: float

    def beats(self, other: "Rates | None") -> bool:
        """Whether the EER is lower, or the same with a higher AUC: ties go to the earlier epoch."""
        return other is None or (self.eer, -self.auc) < (other.eer, -other.auc)


class Judge:
    """Trials against the stores, each row embedded once however many trials it is in."""

    def __init__(self, trials: Trials, faces: Tensor, voices: Tensor) -> None:
        self.trials, self.stores = trials, {"face": faces, "voice": voices}
        self.rows: dict[str, Tensor] = {}
        self.where: list[np.ndarray] = []
        named = {"face": [np.empty(0, np.int64)], "voice": [np.empty(0, np.int64)]}
        for side, rows in zip(trials.sides, (trials.left, trials.right), strict=True):
            named[side].append(rows)
        unique = {side: np.unique(np.concatenate(parts)) for side, parts in named.items()}
        for side, rows in zip(trials.sides, (trials.left, trials.right), strict=True):
            self.where.append(np.searchsorted(unique[side], rows))
        self.rows = {side: torch.from_numpy(rows).to(faces.device) for side, rows in unique.items() if len(rows)}

    @torch.no_grad()
    def __call__(self, network: Network, stack: int) -> list[Rates]:
        """Rates of S networks, from minus the squared distance of what they compare."""
        network.eval()
        vectors = {side: self._embed(network, side, stack) for side in self.rows}
        left, right = (vectors[side][:, at] for side, at in zip(self.trials.sides, self.where, strict=True))
        scores = -np.square(left - right).sum(axis=-1)
        labels = self.trials.labels
        return [Rates(equal_error_rate(row, labels), roc_auc(row, labels)) for row in scores]

    def _embed(self, network: Network, side: str, stack: int) -> np.ndarray:
        rows = self.rows[side]
        matrix = self.stores[side][rows]
        return embed(network, side, matrix, stack)


@torch.no_grad()
def embed(network: Network, side: str, matrix: Tensor, stack: int) -> np.ndarray:
    """Vectors (N, D) of one modality to what S stacked networks compare, (S, N, E) float32."""
    network.eval()
    through = network.embed_faces if side == "face" else network.embed_voices
    chunks = [through(chunk.expand(stack, *chunk.shape)).cpu() for chunk in torch.split(matrix, _ROWS)]
    return torch.cat(chunks, dim=1).numpy()
