"""Extractors that know the test people are flagged."""

from dataclasses import replace

import pytest

from extractors.voices.voice_weights import voice_weights
from pipeline.protocol.tables import ProtocolTables
from pipeline.report.leaks import leaks
from pipeline.settings import EmbedVoicesSettings
from tests.pipeline.protocol.corpora import built, settings, tables


@pytest.fixture(scope="module")
def voxceleb1() -> ProtocolTables:
    made = built(tables(), settings(trials=20, galleries=20))
    names = [f"id{10001 + number}" for number in range(len(made.identities))]
    return replace(made, identities=made.identities.assign(identity=names))


@pytest.mark.parametrize(
    ("weights", "overlap"),
    [
        ("FaceNet InceptionResnetV1, CASIA-WebFace 20180408-102900", "some"),
        ("FaceNet InceptionResnetV1, VGGFace2 20180402-114759", "some"),
        ("FaceNet InceptionResnetV1, vggface2.pt (the user's own)", "unknown"),
        ("VGGFace", "all"),
        ("/my/weights.pt", "unknown"),
    ],
)
def test_face_weights_that_overlap_with_voxceleb1_are_flagged(
    voxceleb1: ProtocolTables, weights: str, overlap: str
) -> None:
    found = leaks(
        {"face": {"weights": weights}, "voice": {"weights": "official (Xie et al. 2019, VoxCeleb2)"}}, voxceleb1
    )
    assert [(leak["modality"], leak["weights"], leak["overlap"]) for leak in found] == [("face", weights, overlap)]


@pytest.mark.parametrize("weights", ["distilled (from another network)", "/my/official (copy).h5"])
def test_voice_weights_of_unknown_people_are_flagged(voxceleb1: ProtocolTables, weights: str) -> None:
    found = leaks({"voice": {"weights": weights}}, voxceleb1)
    assert [leak["overlap"] for leak in found] == ["unknown"]


def test_shipped_voice_weights_say_whom_they_heard_and_what_is_not_known(voxceleb1: ProtocolTables) -> None:
    chosen = EmbedVoicesSettings(
        extractor="utterance_aggregator",
        weights="distilled",
        seed=0,
        max_seconds=20.0,
        remove_offset=False,
        trim=False,
        max_skip_ratio=0.0,
    )
    (leak,) = leaks({"voice": {"weights": voice_weights(chosen).label}}, voxceleb1)
    assert leak["overlap"] == "unknown"
    for word in ("LibriSpeech", "Kokoro", "CAM++", "no list"):
        assert word in leak["reason"]


def test_untrained_weights_know_nobody(voxceleb1: ProtocolTables) -> None:
    assert leaks({"voice": {"weights": "untrained (seed 0)"}}, voxceleb1) == []


def test_other_corpora_are_not_spoken_of() -> None:
    made = built(tables(), settings(trials=20, galleries=20))
    assert leaks({"face": {"weights": "VGGFace"}}, made) == []
