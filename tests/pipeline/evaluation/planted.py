"""A small planted corpus: people with a vector of their own, seen and heard through noise; and lists over it."""

import numpy as np
import pandas as pd

from pipeline.evaluation import Lists, lists_of
from pipeline.protocol.tables import ProtocolTables, shaped, stacked
from pipeline.scoring.calibration import Calibration
from pipeline.settings import EvaluateSettings
from pipeline.store import Store

PEOPLE = [f"person{number:02d}" for number in range(12)]
EACH = 6  # faces, and voices, of one person
SETTINGS = {
    "rates": "exact",
    "matching_sizes": [2, 4],
    "retrieval_rows": 100,
    "bootstrap": 50,
    "confidence": 0.95,
    "dcf_target": 0.05,
    "seed": 0,
}


class NoisyEncoder:
    """S models that give back what they are given, each with noise of its own: model 0 with none."""

    def __init__(self, models: int, noise: float) -> None:
        self.models, self.noise = models, noise

    compares = "embeddings"

    def takes(self, modality: str) -> bool:
        return True

    def calibration(self, left: str, right: str) -> list[Calibration]:
        """LLRs that rise from -4 to 4 with the scores."""
        return [Calibration(people=20, slope=2.0, offset=4.0)] * self.models

    def embed(self, modality: str, matrix: np.ndarray) -> np.ndarray:
        rng = np.random.default_rng({"face": 1, "voice": 2}[modality])
        clouds = [matrix + model * self.noise * rng.normal(size=matrix.shape) for model in range(self.models)]
        vectors = np.stack(clouds)
        return (vectors / np.linalg.norm(vectors, axis=2, keepdims=True)).astype(np.float32)


def settings(**changes: object) -> EvaluateSettings:
    return EvaluateSettings.model_validate(SETTINGS | changes)


def stores(spread: float) -> tuple[Store, Store]:
    """Faces and voices of all people: their own vector plus noise of size `spread`, of unit norm."""
    rng = np.random.default_rng(0)
    own = np.repeat(rng.normal(size=(len(PEOPLE), 16)), EACH, axis=0)
    index = pd.DataFrame({"item": [f"{name}/{take}" for name in PEOPLE for take in range(EACH)]})
    index["identity"] = np.repeat(PEOPLE, EACH)
    clouds = [own + spread * rng.normal(size=own.shape) for _ in range(2)]
    faces, voices = ((cloud / np.linalg.norm(cloud, axis=1, keepdims=True)).astype(np.float32) for cloud in clouds)
    return Store(faces, index, {}), Store(voices, index, {})


def trials(regime: str, task: str, criterion: str, count: int = 240, seed: int = 0) -> pd.DataFrame:
    """Trials whose labels alternate, genuine first, as the released lists do."""
    rng = np.random.default_rng(seed)
    label = (np.arange(count) + 1) % 2
    left = rng.integers(0, len(PEOPLE), count)
    right = np.where(label == 1, left, (left + rng.integers(1, len(PEOPLE), count)) % len(PEOPLE))
    names = np.array(PEOPLE)
    return pd.DataFrame(
        {
            "subset": "test",
            "regime": regime,
            "task": task,
            "criterion": criterion,
            "left_row": left * EACH + rng.integers(0, EACH, count),
            "right_row": right * EACH + rng.integers(0, EACH, count),
            "label": label,
            "left_identity": names[left],
            "right_identity": names[right],
            "position": np.arange(count),
        }
    )


def probes(regime: str, task: str, gallery: int = 4) -> pd.DataFrame:
    """One gallery for each row of the probes' modality, impostors of other people."""
    rng = np.random.default_rng(1)
    rows = np.arange(len(PEOPLE) * EACH)
    people = rows // EACH
    impostors = [
        (rng.permutation(np.delete(np.arange(len(PEOPLE)), person))[: gallery - 1] * EACH).tolist() for person in people
    ]
    return pd.DataFrame(
        {
            "subset": "test",
            "regime": regime,
            "task": task,
            "probe_row": rows,
            "probe_identity": np.array(PEOPLE)[people],
            "genuine_row": people * EACH + (rows + 1) % EACH,
            "impostor_rows": impostors,
        }
    )


def tables(verification: list[pd.DataFrame], matching: list[pd.DataFrame], **more: pd.DataFrame) -> ProtocolTables:
    """A protocol of these lists alone."""
    empty = {name: shaped(name) for name in ("identities", "train_pairs", "matching_released", "coverage")}
    lists = {"verification": stacked("verification", verification), "matching": stacked("matching", matching)}
    return ProtocolTables(**{**empty, **lists, **more}, summary={})


def planted_lists(faces: Store, voices: Store) -> Lists:
    """Every kind of list: both regimes, cross-modal by two criteria, unimodal, matching."""
    verification = [trials(regime, "cross_modal", "random") for regime in ("unseen_unheard", "seen_heard")]
    verification += [trials("unseen_unheard", task, "random", seed=2) for task in ("face", "voice")]
    verification += [trials("unseen_unheard", "cross_modal", "G", seed=3)]
    galleries = [probes("unseen_unheard", task) for task in ("f2v", "v2f", "f2f")]
    return lists_of(tables(verification, galleries), faces, voices)
