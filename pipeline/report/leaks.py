"""The weights that made the embeddings, and whether their training people include the people tested here."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from safetensors import SafetensorError, safe_open

from pipeline.errors import StoreError
from pipeline.protocol.tables import ProtocolTables
from pipeline.store import MATRIX

_VOXCELEB1 = re.compile(r"id1[01]\d{3}")  # id10001 to id11251
# Corpus, as extractors write it in `trained_on` -> overlap with VoxCeleb1's people, and why.
_OVERLAPS = {
    "vggface": ("all", "VGGFace1 contains every VoxCeleb1 identity"),
    "vggface2": ("some", "VGGFace2 shares some identities with VoxCeleb1"),
    "casia-webface": ("some", "CASIA-WebFace shares some identities with VoxCeleb1"),
    "facenet's training sets": ("some", "FaceNet's training sets share some identities with VoxCeleb1"),
    "voxceleb2": ("none", "VoxCeleb2's identities are disjoint from VoxCeleb1's"),
    "kokoro's virtual voices": ("none", "virtual voices are nobody's"),
}
_WORST_FIRST = ("all", "some", "unknown", "none")


@dataclass(frozen=True)
class UsedWeights:
    """What a store says of the weights that made it."""

    description: str
    trained_on: tuple[str, ...] | None  # corpora; empty: not trained at all; None: not recorded
    stand_in: bool  # not what anyone would publish figures with


@dataclass(frozen=True)
class Leak:
    """One extractor's overlap with the test identities."""

    modality: str  # face | voice
    weights: str
    overlap: str  # all | some | unknown
    reason: str


def provenance_of(folder: Path) -> Mapping[str, object]:
    """Where a store's embeddings come from, without reading them; raises StoreError for a store that cannot be read."""
    try:
        with safe_open(folder / MATRIX, framework="numpy") as file:
            found = json.loads((file.metadata() or {}).get("provenance", "{}"))
    except (OSError, ValueError, SafetensorError) as error:
        raise StoreError(f"{folder / MATRIX} cannot be read ({error}); run `dvc repro` again") from error
    return found if isinstance(found, dict) else {}


def used_weights(provenance: Mapping[str, object]) -> UsedWeights:
    """The weights that a store's provenance names; without a record of their training nothing is taken for granted."""
    found = provenance.get("weights", "unnamed")
    if not isinstance(found, Mapping):
        return UsedWeights(str(found), None, stand_in=False)
    corpora = found.get("trained_on")
    return UsedWeights(
        str(found.get("description", "unnamed")),
        tuple(map(str, corpora)) if isinstance(corpora, list) else None,
        stand_in=found.get("stand_in") is True,
    )


def leaks(provenance: Mapping[str, Mapping[str, object]], tables: ProtocolTables) -> list[Leak]:
    """Extractors that have seen, or may have seen, test identities; `provenance` maps face and voice to their store's.

    Covers VoxCeleb1 alone, the corpus whose overlaps are published: other corpora give an empty list, extractors
    known to be disjoint are left out, and weights of unknown origin are listed as unknown.
    """
    if not (is_voxceleb1(tables.identities) or tables.summary.get("source") == "csv_features"):
        return []
    found = []
    for modality, store in sorted(provenance.items()):
        weights = used_weights(store)
        overlap, reason = _overlap(weights.trained_on)
        if overlap != "none":
            found.append(Leak(modality, weights.description, overlap, reason))
    return found


def _overlap(corpora: tuple[str, ...] | None) -> tuple[str, str]:
    """The worst overlap of any of the corpora, and why."""
    if corpora is None:
        return "unknown", "the people that these weights were trained on are not recorded"
    judged = [
        _OVERLAPS.get(corpus.lower(), ("unknown", f"trained on {corpus}, of whose people the project has no list"))
        for corpus in corpora
    ]
    worst = min((overlap for overlap, _ in judged), key=_WORST_FIRST.index, default="none")
    return worst, "; ".join(reason for overlap, reason in judged if overlap == worst)


def is_voxceleb1(identities: pd.DataFrame) -> bool:
    """Whether the test people go by VoxCeleb1's codes (id10001 to id11251)."""
    test = identities.loc[identities["split"] == "test", "identity"]
    return bool(len(test)) and all(_VOXCELEB1.fullmatch(name) for name in test)
