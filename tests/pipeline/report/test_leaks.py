"""Extractors that know the test people are flagged."""

from dataclasses import replace

import pytest

from pipeline.protocol.tables import ProtocolTables
from pipeline.report.leaks import leaks
from tests.pipeline.protocol.corpora import built, settings, tables


@pytest.fixture(scope="module")
def voxceleb1() -> ProtocolTables:
    made = built(tables(), settings(trials=20, galleries=20))
    names = [f"id{10001 + number}" for number in range(len(made.identities))]
    return replace(made, identities=made.identities.assign(identity=names))


def weights(trained_on: list[str] | None, description: str = "mine.pt") -> dict[str, object]:
    """Provenance of a store, as far as leaks go."""
    return {"weights": {"description": description, "trained_on": trained_on, "stand_in": False}}


@pytest.mark.parametrize(
    ("trained_on", "overlap"),
    [
        (["CASIA-WebFace"], "some"),
        (["VGGFace2"], "some"),
        (["VGGFace"], "all"),
        (["VoxCeleb2", "VGGFace2"], "some"),
        (["VGGFace2", "VGGFace"], "all"),
        (["my own people"], "unknown"),
        (["VoxCeleb2", "my own people"], "unknown"),
        (None, "unknown"),
    ],
)
def test_weights_whose_training_people_overlap_with_voxceleb1s_are_flagged_by_the_worst(
    voxceleb1: ProtocolTables, trained_on: list[str] | None, overlap: str
) -> None:
    found = leaks({"face": weights(trained_on), "voice": weights(["VoxCeleb2"])}, voxceleb1)
    assert [(leak.modality, leak.weights, leak.overlap) for leak in found] == [("face", "mine.pt", overlap)]


@pytest.mark.parametrize("provenance", [{}, {"weights": "vggface"}, {"weights": {"description": "VGGFace"}}])
def test_weights_without_a_record_of_their_training_are_flagged_whatever_they_are_called(
    voxceleb1: ProtocolTables, provenance: dict[str, object]
) -> None:
    assert [leak.overlap for leak in leaks({"voice": provenance}, voxceleb1)] == ["unknown"]


def test_reason_names_the_corpora_that_decide(voxceleb1: ProtocolTables) -> None:
    corpora = ["LibriSpeech", "Kokoro's virtual voices", "the people of its teacher, CAM++"]
    (leak,) = leaks({"voice": weights(corpora)}, voxceleb1)
    assert leak.overlap == "unknown"
    for word in ("LibriSpeech", "CAM++", "no list"):
        assert word in leak.reason
    assert "Kokoro" not in leak.reason  # virtual voices are nobody's


def test_untrained_weights_know_nobody(voxceleb1: ProtocolTables) -> None:
    assert leaks({"voice": weights([])}, voxceleb1) == []


def test_other_corpora_are_not_spoken_of() -> None:
    made = built(tables(), settings(trials=20, galleries=20))
    assert leaks({"face": weights(["VGGFace"])}, made) == []
