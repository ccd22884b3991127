"""Where vectors come from: a model takes those that were made as the ones it was trained on, and no others."""

from collections.abc import Mapping

from pipeline.errors import CheckpointError

Provenance = Mapping[str, Mapping[str, object]]  # face, voice -> what the store says of its extractor
RELEASED = "released"  # key of the provenance of a checkpoint whose training vectors only its authors have
# What decides vectors: the extractor's fingerprint, how waveforms were read, and which frames a detector was given.
_DECISIVE = ("fingerprint", "reading", "frame_rate", "max_frames")
_DESCRIBED = ("extractor", "weights", "dimension", "fingerprint", "reading", "frame_rate", "max_frames", "detector")
_DIGITS = 12  # of a fingerprint, in a message


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
