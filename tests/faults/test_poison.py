"""Files that carry code: refused wherever a user could name them, and the code never runs."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.errors import CheckpointError, PipelineError, StoreError
from pipeline.methods.official import load_official_checkpoint
from pipeline.scoring import load_model
from pipeline.store import INDEX, MATRIX, read_store
from tests.stages.project import ROOT

pytestmark = [pytest.mark.faults, pytest.mark.stage]


class Payload:
    """Makes a file where it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return open, (str(self.canary), "w")


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A file that is there once the poison was swallowed."""
    return tmp_path / "canary"


def poison(path: Path, canary: Path) -> Path:
    """A poisoned file of the kind that its suffix says."""
    if path.suffix == ".npz":
        np.savez(path, embeddings=np.array([Payload(canary)], dtype=object))
    elif path.suffix == ".pkl":
        path.write_bytes(pickle.dumps({"state_dict": Payload(canary)}))
    else:
        torch.save({"state_dict": {"weight": Payload(canary)}}, path)
    return path


def test_the_poison_would_work(tmp_path: Path, canary: Path) -> None:
    for name in ("evil.npz", "evil.pkl", "evil.pth"):
        path = poison(tmp_path / name, canary)
        if path.suffix == ".pth":
            torch.load(path, weights_only=False)
        else:
            found = np.load(path, allow_pickle=True)
            assert path.suffix == ".pkl" or len(found["embeddings"]) == 1
        assert canary.exists(), name
        canary.unlink()


@pytest.mark.parametrize("name", ["evil.pth.tar", "evil.npz", "evil.pkl"])
@pytest.mark.parametrize("read", [load_official_checkpoint, load_model])
def test_poisoned_checkpoint_is_refused(
    tmp_path: Path, canary: Path, name: str, read: Callable[[Path], object]
) -> None:
    with pytest.raises(CheckpointError):
        read(poison(tmp_path / name, canary))
    assert not canary.exists()


@pytest.mark.parametrize("name", ["evil.npz", "evil.pkl", "evil.pth"])
def test_poison_instead_of_a_store_is_refused(tmp_path: Path, canary: Path, name: str) -> None:
    for target in (MATRIX, INDEX):
        poison(tmp_path / name, canary).rename(tmp_path / target)
    with pytest.raises(StoreError):
        read_store(tmp_path)
    assert not canary.exists()


@pytest.mark.parametrize("section", ["embed_faces", "embed_voices"])
@pytest.mark.parametrize("name", ["evil.npz", "evil.pth"])
def test_poisoned_weights_are_refused(tmp_path: Path, canary: Path, section: str, name: str) -> None:
    from extractors.faces.face import face_extractor
    from extractors.voices.voice import voice_extractor
    from pipeline.config import load_params

    params = load_params(ROOT / "params.yaml")
    build = {"embed_faces": face_extractor, "embed_voices": voice_extractor}[section]
    settings = getattr(params, section).model_copy(update={"weights": str(poison(tmp_path / name, canary))})
    with pytest.raises(PipelineError):
        build(settings, torch.device("cpu"))
    assert not canary.exists()
