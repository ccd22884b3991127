"""Where vectors come from: a model takes those of the extractors that it was trained on, and no others."""

from collections.abc import Mapping

from pipeline.errors import CheckpointError

Provenance = Mapping[str, Mapping[str, object]]  # face, voice -> what the store says of its extractor
RELEASED = "released"  # key of the provenance of a checkpoint whose training vectors only its authors have
_DESCRIBED = ("extractor", "weights", "dimension", "fingerprint")
_DIGITS = 12  # of a fingerprint, in a message


def check_provenance(trained: Provenance, found: Provenance, where: str) -> None:
    """Raise CheckpointError for vectors of another extractor, other weights or other options than a model's.

    Compares fingerprints, or everything recorded where one side has none. Vectors for a released checkpoint are the
    user's own choice: nothing is compared.
    """
    for modality, own in trained.items():
        other = found.get(modality, {})
        if own.get(RELEASED):
            continue
        keys = ("fingerprint",) if "fingerprint" in own and "fingerprint" in other else tuple(own.keys() | other.keys())
        if any(own.get(key) != other.get(key) for key in keys):
            raise CheckpointError(
                f"{where} was trained on {modality} vectors of {described(own)}; these are of {described(other)}: "
                "extract with what it was trained on, or train again"
            )


def described(origin: Mapping[str, object]) -> str:
    """Extractor, weights, dimension and fingerprint, as far as they are recorded."""
    parts = []
    for key in _DESCRIBED:
        value = origin.get(key)
        value = value.get("description", value) if isinstance(value, Mapping) else value  # weights are a record
        if value is not None:
            text = str(value)[:_DIGITS] if key == "fingerprint" else str(value)
            parts.append(text if key == "extractor" else f"{key} {text}")
    return ", ".join(parts) or "an unrecorded extractor"
