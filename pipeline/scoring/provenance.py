"""Where a model comes from: it takes vectors made as those it was trained on, and is measured on its own protocol."""

from collections.abc import Mapping

from pipeline.errors import CheckpointError
from pipeline.files import sha256_hex
from pipeline.protocol.tables import ProtocolTables
from pipeline.protocol.vocabulary import NO_SPLIT

Provenance = Mapping[str, Mapping[str, object]]  # face, voice -> what the store says of its extractor
RELEASED = "released"  # key of the provenance of a checkpoint whose training vectors only its authors have
# What decides vectors: the extractor's fingerprint, how waveforms were read, and which frames a detector was given.
_DECISIVE = ("fingerprint", "reading", "frame_rate", "max_frames")
_DESCRIBED = ("extractor", "weights", "dimension", "fingerprint", "reading", "frame_rate", "max_frames", "detector")
_DIGITS = 12  # of a fingerprint, in a message
_TRAINING = {  # of a protocol's tables, the columns that say who trains, chooses a model and is tested, and with what
    "identities": ["identity", "split", "class_index"],
    "train_pairs": ["face_row", "voice_row", "class_index", "language"],
}


def check_provenance(trained: Provenance, found: Provenance, where: str) -> None:
    """Raise CheckpointError for vectors that were made otherwise than a model's: extractor, reading or detector.

    Compares what decides vectors, or everything recorded where there is no fingerprint; where nothing is recorded,
    vectors are refused. Vectors for a released checkpoint are the user's own choice: nothing is compared.
    """
    for modality in sorted(trained.keys() | found.keys()):
        own, other = trained.get(modality, {}), found.get(modality, {})
        if own.get(RELEASED):
            continue
        if not own or not other or _decisive(own) != _decisive(other):
            raise CheckpointError(
                f"{where} was trained on {modality} vectors of {described(own)}; these are of {described(other)}: "
                "extract with what it was trained on, or train again"
            )


def protocol_digest(tables: ProtocolTables) -> str:
    """Hex SHA-256 of what a protocol gives training: its training pairs, and the split of who is in one."""
    split = tables.identities[tables.identities["split"] != NO_SPLIT]
    parts = (part[_TRAINING[name]] for name, part in (("identities", split), ("train_pairs", tables.train_pairs)))
    return sha256_hex(*(part.to_csv(index=False, lineterminator="\n") for part in parts))


def check_protocol(trained: str, tables: ProtocolTables, where: str, stage: str) -> None:
    """Raise CheckpointError for a model that was trained under another protocol: `trained` is the digest of its own.

    People whom it was trained or chosen on may be test people now. `stage` of dvc.yaml makes it anew.
    """
    remedy = f"run `dvc repro {stage}`"
    if not trained:
        raise CheckpointError(f"{where} does not say under which protocol it was trained: {remedy}")
    if trained != protocol_digest(tables):
        raise CheckpointError(
            f"{where} was trained under another protocol than artifacts/protocol now is, or rows of its stores have "
            f"moved, so that people it has met may be among those it is tested on: {remedy}"
        )


def _decisive(origin: Mapping[str, object]) -> Mapping[str, object]:
    """The part of a record that two must share; of a detector's record likewise."""
    if "fingerprint" not in origin:
        return origin
    detector = origin.get("detector")
    return {
        **{key: origin.get(key) for key in _DECISIVE},
        "detector": _decisive(detector) if isinstance(detector, Mapping) else detector,
    }


def described(origin: Mapping[str, object]) -> str:
    """What a record says of an extractor: name, weights, dimension, fingerprint, how it read, its detector."""
    parts = []
    for key in _DESCRIBED:
        value = origin.get(key)
        if isinstance(value, Mapping):
            value = {"weights": _label, "detector": _in_brackets}.get(key, _options)(value)
        if value is not None:
            text = str(value)[:_DIGITS] if key == "fingerprint" else str(value)
            parts.append(text if key == "extractor" else f"{key} {text}")
    return ", ".join(parts) or "an unrecorded extractor"


def _label(weights: Mapping[str, object]) -> object:
    return weights.get("description", weights)


def _in_brackets(detector: Mapping[str, object]) -> str:
    return f"({described(detector)})"


def _options(reading: Mapping[str, object]) -> str:
    return "(" + ", ".join(f"{key} {value}" for key, value in reading.items()) + ")"
