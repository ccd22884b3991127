"""Whether an extractor has seen, in its own training, people it is tested on here."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import pandas as pd

from pipeline.protocol.tables import ProtocolTables

_VOXCELEB1 = re.compile(r"id1[01]\d{3}")  # id10001 to id11251
# Overlap of an extractor's training people with VoxCeleb1's; label of the weights -> (how many, why).
_KNOWN = {
    "vggface": ("all", "VGGFace1 contains every VoxCeleb1 identity"),
    "vggface1": ("all", "VGGFace1 contains every VoxCeleb1 identity"),
    "vggface2": ("some", "VGGFace2 shares some identities with VoxCeleb1"),
    "casia-webface": ("some", "CASIA-WebFace shares some identities with VoxCeleb1"),
    "voxceleb1": ("all", "trained on VoxCeleb1 itself"),
    "official": ("none", "trained on VoxCeleb2, whose identities are disjoint from VoxCeleb1's"),
    "untrained": ("none", "not trained at all"),
}


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
    if not is_voxceleb1(tables.identities):
        return []
    found = []
    for modality, store in sorted(provenance.items()):
        weights = str(store.get("weights", "unnamed"))
        unknown = ("unknown", "nothing is known of the people these weights were trained on")
        overlap, reason = _KNOWN.get(weights.lower().split(" ")[0].split(":")[0], unknown)
        if overlap != "none":
            found.append(asdict(Leak(modality, weights, overlap, reason)))
    return found


def is_voxceleb1(identities: pd.DataFrame) -> bool:
    """Whether the test people go by VoxCeleb1's codes (id10001 to id11251)."""
    test = identities.loc[identities["split"] == "test", "identity"]
    return bool(len(test)) and all(_VOXCELEB1.fullmatch(name) for name in test)
