"""Extractors by name."""

from pathlib import Path

import pytest
import torch

from extractors.registry import DETECTORS, FACE_EMBEDDERS, VOICE_EMBEDDERS, face_detector, face_embedder, voice_embedder
from pipeline.config import load_params
from pipeline.errors import ConfigError

PARAMS = load_params(Path(__file__).resolve().parents[2] / "params.yaml")
CPU = torch.device("cpu")


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_every_detector_builds_with_a_fingerprint_of_its_own(name: str) -> None:
    settings = PARAMS.detect_faces.model_copy(update={"detector": name})
    detector = face_detector(settings, CPU)
    assert len(detector.fingerprint()) == 64 and detector.fingerprint() == face_detector(settings, CPU).fingerprint()


def test_detectors_do_not_share_a_fingerprint() -> None:
    names = sorted(DETECTORS)
    prints = {face_detector(PARAMS.detect_faces.model_copy(update={"detector": n}), CPU).fingerprint() for n in names}
    assert len(prints) == len(names)


def test_default_voice_embedder_keeps_the_seam() -> None:
    settings = PARAMS.embed_voices.model_copy(update={"weights": "untrained"})
    embedder = voice_embedder(settings, CPU)
    assert embedder.sample_rate == 16000 and embedder.dimension == 512 and embedder.weights_label


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=f"embed_faces.extractor.*'arcface'.*{sorted(FACE_EMBEDDERS)[0]}"):
        face_embedder(PARAMS.embed_faces.model_copy(update={"extractor": "arcface"}), CPU)
    with pytest.raises(ConfigError, match=f"embed_voices.extractor.*'wavlm'.*{sorted(VOICE_EMBEDDERS)[0]}"):
        voice_embedder(PARAMS.embed_voices.model_copy(update={"extractor": "wavlm"}), CPU)
