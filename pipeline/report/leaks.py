"""Whether an extractor has seen, in its own training, people it is tested on here."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import pandas as pd

from pipeline.protocol.tables import ProtocolTables

_VOXCELEB1 = re.compile(r"id1[01]\d{3}")  # id10001 to id11251
# A corpus that weights were trained on -> its overlap with VoxCeleb1's people, and why. All other corpora are unknown.
_CORPORA = {
    "VGGFace": ("all", "VGGFace1 contains every VoxCeleb1 identity"),
    "VGGFace2": ("some", "VGGFace2 shares some identities with VoxCeleb1"),
    "CASIA-WebFace": ("some", "CASIA-WebFace shares some identities with VoxCeleb1"),
    "FaceNet's training sets": ("some", "FaceNet's training sets share some identities with VoxCeleb1"),
    "VoxCeleb1": ("all", "trained on VoxCeleb1 itself"),
    "VoxCeleb2": ("none", "trained on VoxCeleb2, whose identities are disjoint from VoxCeleb1's"),
    "LibriSpeech": ("none", "LibriSpeech's readers are volunteers of LibriVox"),
    "Kokoro's virtual voices": ("none", "nobody's voices"),
}
_DEGREES = ("all", "some", "unknown", "none")  # the worst first
_NOT_RECORDED = ("unknown", "whom these weights were trained on is not recorded")


@dataclass(frozen=True)
class Leak:
    """One extractor's overlap with the test identities."""

    modality: str  # face | voice
    weights: str
    overlap: str  # all | some | unknown
    reason: str


def leaks(provenance: Mapping[str, Mapping[str, object]], tables: ProtocolTables) -> list[dict[str, str]]:
    """Extractors that know, or may know, test identities; `provenance` maps face and voice to their store's.

    Speaks of VoxCeleb1 alone, the corpus whose overlaps are published: other corpora give an empty list, extractors
    known to be disjoint are left out, and weights of unknown origin are listed as unknown.
    """
    if not (is_voxceleb1(tables.identities) or tables.summary.get("source") == "csv_features"):
        return []
    found = []
    for modality, store in sorted(provenance.items()):
        weights = store.get("weights")
        known = weights if isinstance(weights, dict) else {}
        overlap, reason = _overlap(known.get("trained_on"))
        if overlap != "none":
            found.append(asdict(Leak(modality, str(known.get("description", weights)), overlap, reason)))
    return found


def _overlap(trained_on: object) -> tuple[str, str]:
    """Overlap and reason of the worst of the corpora, None where they are not known; untrained weights know nobody."""
    if not isinstance(trained_on, list):
        return _NOT_RECORDED
    listed = f"trained on {' and '.join(map(str, trained_on))}, of which the project has no list of people"
    found = [_CORPORA.get(corpus, ("unknown", listed)) for corpus in trained_on]
    return min(found, key=lambda one: _DEGREES.index(one[0]), default=("none", "not trained at all"))


def is_voxceleb1(identities: pd.DataFrame) -> bool:
    """Whether the test people go by VoxCeleb1's codes (id10001 to id11251)."""
    test = identities.loc[identities["split"] == "test", "identity"]
    return bool(len(test)) and all(_VOXCELEB1.fullmatch(name) for name in test)
