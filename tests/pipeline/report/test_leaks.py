"""Extractors that know the test people are flagged."""

from dataclasses import replace

import pytest

from extractors.base import Weights
from extractors.voices.aggregator_weights import aggregator_weights
from pipeline.protocol.tables import ProtocolTables
from pipeline.report.leaks import leaks
from tests.pipeline.protocol.corpora import built, settings, tables


@pytest.fixture(scope="module")
def voxceleb1() -> ProtocolTables:
    made = built(tables(), settings(trials=20, galleries=20))
    names = [f"id{10001 + number}" for number in range(len(made.identities))]
    return replace(made, identities=made.identities.assign(identity=names))


def trained_on(*corpora: str, known: bool = True) -> dict[str, object]:
    """A store's provenance, with weights trained on these corpora."""
    return {"weights": {"description": "mine", "trained_on": list(corpora) if known else None}}


@pytest.mark.parametrize(
    ("corpora", "overlap"),
    [
        (["CASIA-WebFace"], "some"),
        (["VGGFace2"], "some"),
        (["VGGFace2", "VGGFace"], "all"),
        (["CASIA-WebFace", "my own album"], "some"),
        (["VoxCeleb2", "my own album"], "unknown"),
    ],
)
def test_weights_that_overlap_with_voxceleb1_are_flagged_by_the_worst_of_their_corpora(
    voxceleb1: ProtocolTables, corpora: list[str], overlap: str
) -> None:
    found = leaks({"face": trained_on(*corpora), "voice": trained_on("VoxCeleb2")}, voxceleb1)
    assert [(leak["modality"], leak["weights"], leak["overlap"]) for leak in found] == [("face", "mine", overlap)]


@pytest.mark.parametrize("store", [trained_on(known=False), {"weights": "a label of an earlier version"}, {}])
def test_weights_of_unknown_people_are_flagged(voxceleb1: ProtocolTables, store: dict[str, object]) -> None:
    assert [leak["overlap"] for leak in leaks({"voice": store}, voxceleb1)] == ["unknown"]


def recorded(weights: Weights) -> dict[str, object]:
    return trained_on(*weights.trained_on or (), known=weights.trained_on is not None)


def test_shipped_voice_weights_say_whom_they_heard_and_what_is_not_known(voxceleb1: ProtocolTables) -> None:
    (leak,) = leaks({"voice": recorded(aggregator_weights("distilled", 0)[0])}, voxceleb1)
    assert leak["overlap"] == "unknown"
    for word in ("LibriSpeech", "Kokoro", "CAM++", "no list"):
        assert word in leak["reason"]


def test_untrained_weights_know_nobody(voxceleb1: ProtocolTables) -> None:
    assert leaks({"voice": recorded(aggregator_weights("untrained", 0)[0])}, voxceleb1) == []


def test_other_corpora_are_not_spoken_of() -> None:
    made = built(tables(), settings(trials=20, galleries=20))
    assert leaks({"face": trained_on("VGGFace")}, made) == []
