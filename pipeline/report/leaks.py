"""Whether an extractor has seen, in its own training, people it is tested on here."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import pandas as pd

from pipeline.protocol.tables import ProtocolTables

_VOXCELEB1 = re.compile(r"id1[01]\d{3}")  # id10001 to id11251
_DISJOINT = "trained on VoxCeleb2, whose identities are disjoint from VoxCeleb1's"
# What the label of a store's weights begins with, after the network's name -> overlap with VoxCeleb1's people, and why.
_KNOWN = (
    ("vggface2", "some", "VGGFace2 shares some identities with VoxCeleb1"),
    ("vggface", "all", "VGGFace1 contains every VoxCeleb1 identity"),
    ("casia-webface", "some", "CASIA-WebFace shares some identities with VoxCeleb1"),
    ("authors-facenet", "some", "FaceNet's training sets share some identities with VoxCeleb1"),
    ("authors-aggregator", "none", _DISJOINT),
    ("official (", "none", _DISJOINT),
    ("untrained", "none", "not trained at all"),
    (
        "distilled (ours",
        "unknown",
        "trained on LibriSpeech's readers and on virtual voices made with Kokoro, after a teacher, CAM++, of whose "
        "own training people the project has no list",
    ),
)
_UNKNOWN = ("unknown", "whom these weights were trained on is not recorded")


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
        weights = str(store.get("weights", "unnamed"))
        overlap, reason = _overlap(weights)
        if overlap != "none":
            found.append(asdict(Leak(modality, weights, overlap, reason)))
    return found


def _overlap(weights: str) -> tuple[str, str]:
    name = weights.lower().rpartition(", ")[2] if weights.lower().startswith("facenet") else weights.lower()
    if "the user's own" in name:  # a file's name proves nothing
        return _UNKNOWN
    return next(((overlap, why) for start, overlap, why in _KNOWN if name.startswith(start)), _UNKNOWN)


def is_voxceleb1(identities: pd.DataFrame) -> bool:
    """Whether the test people go by VoxCeleb1's codes (id10001 to id11251)."""
    test = identities.loc[identities["split"] == "test", "identity"]
    return bool(len(test)) and all(_VOXCELEB1.fullmatch(name) for name in test)
