"""How good a network is on trials, between epochs."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.methods import Method
from pipeline.metrics import equal_error_rate, roc_auc
from pipeline.scoring.similarity import Matrix, embed, pair_scores, similarity
from pipeline.training.lists import Trials


@dataclass(frozen=True)
class Rates:
    """Of one network on one list, in percent."""

    eer: float
    auc: float

    def is_better_than(self, earlier: "Rates | None", *, official: bool = False) -> bool:
        """Whether the EER is lower than an earlier epoch's, or the same with a higher AUC; else ties go to the earlier.

        `official`: whether it is no higher, whatever the AUC, as in the official code (`eer <= min(eer_list)` of
        ssnet_fop/main.py and ssnet_cent_git/main.py). Its EER is of the ten-fold grid, where epochs tie that do not
        here.
        """
        if earlier is None or official:
            return earlier is None or self.eer <= earlier.eer
        return (self.eer, -self.auc) < (earlier.eer, -earlier.auc)


class Validator:
    """Trials against the stores, each row embedded once however many trials it is in."""

    def __init__(self, trials: Trials, faces: Tensor, voices: Tensor) -> None:
        self.trials, self.stores = trials, {"face": faces, "voice": voices}
        sides = list(zip(trials.sides, (trials.left, trials.right), strict=True))
        named = {side: [rows for name, rows in sides if name == side] for side, _ in sides}
        unique = {side: np.unique(np.concatenate(parts)) for side, parts in named.items()}
        self.where = [np.searchsorted(unique[side], rows) for side, rows in sides]
        self.rows = {side: torch.from_numpy(rows).to(faces.device) for side, rows in unique.items()}

    def rates(self, scores: Matrix) -> Rates:
        """Rates of the scores (N,) of all trials."""
        return Rates(equal_error_rate(scores, self.trials.labels), roc_auc(scores, self.trials.labels))

    @torch.no_grad()
    def scores(self, method: Method) -> Matrix | None:
        """Scores (N,) of a method; None of one that scores galleries only."""
        method.eval()
        if method.compares == "galleries":
            return None
        vectors = {side: self.stores[side][rows] for side, rows in self.rows.items()}
        (left, right), (at_left, at_right) = self.trials.sides, self.where
        if method.compares == "pairs":
            return pair_scores(method, left, vectors[left][at_left], right, vectors[right][at_right])
        embeddings = {side: embed(method, side, matrix) for side, matrix in vectors.items()}
        return similarity(embeddings[left][at_left], embeddings[right][at_right])
