"""Extractors that know the test people are flagged."""

from dataclasses import replace

import pytest

from pipeline.protocol.leaks import leaks
from pipeline.protocol.tables import ProtocolTables
from tests.pipeline.protocol.corpora import built, settings, tables


@pytest.fixture(scope="module")
def voxceleb1() -> ProtocolTables:
    made = built(tables(), settings(trials=20, galleries=20))
    names = [f"id{10001 + number}" for number in range(len(made.identities))]
    return replace(made, identities=made.identities.assign(identity=names))


@pytest.mark.parametrize(
    ("weights", "overlap"),
    [("casia-webface", "some"), ("vggface2", "some"), ("vggface", "all"), ("/my/weights.pt", "unknown")],
)
def test_faces_that_overlap_with_voxceleb1_are_flagged(voxceleb1: ProtocolTables, weights: str, overlap: str) -> None:
    found = leaks({"face": {"weights": weights}, "voice": {"weights": "official"}}, voxceleb1)
    assert [(leak["modality"], leak["weights"], leak["overlap"]) for leak in found] == [("face", weights, overlap)]


def test_other_corpora_are_not_spoken_of() -> None:
    made = built(tables(), settings(trials=20, galleries=20))
    assert leaks({"face": {"weights": "vggface"}}, made) == []
