"""Where voice weights come from, and what is refused."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from extractors.base import Weights
from extractors.voices import aggregator_weights as sources
from extractors.voices.aggregator_network import UtteranceAggregator, untrained
from extractors.voices.aggregator_weights import keras_names, read_keras_state
from extractors.voices.utterance_aggregator import load_keras_weights
from pipeline.errors import WeightsError
from pipeline.files import git_blob_id, sha256_of

UNTRAINED_0 = {  # first values of seed 0's weights; the last bits may differ where torch or LAPACK round otherwise
    "backbone.stem.conv.weight": [-0.227454, -0.232812],
    "features.weight": [0.032777, 0.029231],
    "pool.centres": [-0.078936, -0.031045],
    "embedding.weight": [0.01447, -0.032143],
}


def chosen(weights: str, seed: int = 0) -> tuple[Weights, UtteranceAggregator]:
    described, build = sources.aggregator_weights(weights, seed)
    return described, build()


def write_keras(path: Path, network: UtteranceAggregator, leave_out: str = "") -> None:
    """A Keras weight file of the network, laid out as Keras does: a group a layer, named kernels inside."""
    state = network.state_dict()
    with h5py.File(path, "w") as file:
        layers: dict[str, list[str]] = {}
        for ours, (layer, kind) in keras_names().items():
            array = state[ours].numpy()
            if kind == "kernel":
                array = array.transpose((2, 3, 1, 0) if array.ndim == 4 else (1, 0))
            if layer != leave_out:
                layers.setdefault(layer, []).append(f"{layer}/{kind}:0")
                file.create_dataset(f"{layer}/{layer}/{kind}:0", data=array)
        file.attrs["layer_names"] = [layer.encode() for layer in layers]
        for layer, names in layers.items():
            file[layer].attrs["weight_names"] = [name.encode() for name in names]


def same(left: UtteranceAggregator, right: UtteranceAggregator) -> bool:
    return all(torch.equal(left.state_dict()[name], value) for name, value in right.state_dict().items())


def test_untrained_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(1)
    first, _ = chosen("untrained", 3)
    torch.manual_seed(2)
    second, _ = chosen("untrained", 3)
    other, _ = chosen("untrained", 4)
    assert first.digest == second.digest != other.digest
    assert first.description == "untrained (seed 3): a stand-in"


def test_untrained_weights_are_these_everywhere() -> None:
    state = untrained(0).state_dict()
    for name, first in UNTRAINED_0.items():
        assert state[name].flatten()[:2].tolist() == pytest.approx(first, abs=1e-5), name


def test_keras_file_round_trip(tmp_path: Path) -> None:
    network = untrained(5)
    write_keras(tmp_path / "weights.h5", network)
    assert same(load_keras_weights(tmp_path / "weights.h5"), network)


def test_keras_names_cover_every_parameter() -> None:
    ours = {name for name in UtteranceAggregator().state_dict() if not name.endswith("num_batches_tracked")}
    assert set(keras_names()) == ours
    assert len(set(keras_names().values())) == len(ours)


def test_keras_file_without_a_layer_is_refused_by_name(tmp_path: Path) -> None:
    write_keras(tmp_path / "weights.h5", untrained(0), leave_out="conv3_b_3x3")
    with pytest.raises(WeightsError, match="conv3_b_3x3"):
        read_keras_state(tmp_path / "weights.h5")


def test_a_keras_file_loads_from_a_path(keras_weights: Path) -> None:
    weights, network = chosen(str(keras_weights))
    assert weights.description == "seeded.h5 (the user's own)"
    assert not network.training


def test_half_precision_safetensors_become_float32(tmp_path: Path) -> None:
    state = {
        name: value.half()
        for name, value in untrained(1).state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    save_file(state, tmp_path / "own.safetensors")
    network = chosen(str(tmp_path / "own.safetensors"))[1]
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    torch.testing.assert_close(network.embedding.weight, untrained(1).embedding.weight, atol=1e-4, rtol=1e-3)


def test_other_networks_weights_are_refused(tmp_path: Path) -> None:
    save_file({"layer.weight": torch.zeros(2)}, tmp_path / "own.safetensors")
    with pytest.raises(WeightsError, match="does not fit") as raised:
        chosen(str(tmp_path / "own.safetensors"))
    assert "it lacks backbone.stem.conv.weight" in str(raised.value)
    assert len(str(raised.value).removeprefix(str(tmp_path))) < 400


def test_a_tensor_of_another_shape_is_refused_by_name(tmp_path: Path) -> None:
    save_file(untrained(0).state_dict() | {"embedding.bias": torch.zeros(3)}, tmp_path / "own.safetensors")
    with pytest.raises(WeightsError, match=r"embedding.bias is \(3,\), not \(512,\)"):
        chosen(str(tmp_path / "own.safetensors"))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_by_name(tmp_path: Path, value: float) -> None:
    state = untrained(0).state_dict()
    state["embedding.bias"][7] = value
    save_file(state, tmp_path / "own.safetensors")
    with pytest.raises(WeightsError, match=r"own.safetensors holds NaN or infinite values in embedding.bias"):
        chosen(str(tmp_path / "own.safetensors"))


@pytest.mark.parametrize("name", ["weights.pt", "weights.pth", "weights.pkl"])
def test_pickles_are_never_loaded(tmp_path: Path, name: str) -> None:
    torch.save({}, tmp_path / name)
    with pytest.raises(WeightsError, match="pickles"):
        chosen(str(tmp_path / name))


@pytest.mark.parametrize("name", ["weights.h5", "weights.safetensors"])
def test_damaged_files_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"neither one nor the other")
    with pytest.raises(WeightsError, match=name):
        chosen(str(tmp_path / name))


def test_absent_file_names_the_choices() -> None:
    with pytest.raises(WeightsError, match=r"distilled.*official.*untrained"):
        chosen("nowhere.h5")


@pytest.mark.parametrize(("typed", "meant"), [("Distilled", "distilled"), ("oficial", "official")])
def test_a_mistyped_choice_is_guessed(typed: str, meant: str) -> None:
    with pytest.raises(WeightsError, match=f"no file {typed}.*did you mean '{meant}'"):
        chosen(typed)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SBNET_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_official_weights_offline_explain_the_other_ways(home: Path) -> None:
    with pytest.raises(WeightsError, match="Offline: fetch") as raised:
        replace(sources.OFFICIAL, source="http://127.0.0.1:9/weights.h5").file()
    assert str(sources.OFFICIAL.path) in str(raised.value)
    assert not list(home.rglob("*.h5"))


def test_a_download_of_other_bytes_is_refused_and_not_kept(home: Path, tmp_path: Path) -> None:
    (tmp_path / "weights.h5").write_bytes(b"not the weights")
    with pytest.raises(WeightsError, match="not the published weights"):
        replace(sources.OFFICIAL, source=(tmp_path / "weights.h5").as_uri()).file()
    assert not list(home.rglob("*.h5"))


def test_a_download_is_kept_and_not_repeated(home: Path, tmp_path: Path) -> None:
    source = tmp_path / "weights.h5"
    source.write_bytes(b"published")
    published = replace(sources.OFFICIAL, source=source.as_uri(), digest=git_blob_id(source))
    kept = published.file()
    source.unlink()
    assert published.file() == kept
    assert kept.read_bytes() == b"published"


def test_another_file_in_the_cache_is_refused_with_the_two_ways_out(home: Path) -> None:
    path = sources.OFFICIAL.path
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half of it")
    with pytest.raises(WeightsError, match=r"remove .*embed_voices\.weights to its path"):
        sources.OFFICIAL.file()


def test_official_bytes_are_called_official_under_any_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published, own = tmp_path / "weights.h5", tmp_path / "official.h5"
    write_keras(published, untrained(0))
    write_keras(own, untrained(1))
    monkeypatch.setattr(sources, "OFFICIAL", replace(sources.OFFICIAL, digest=git_blob_id(published)))
    found = [chosen(str(path))[0] for path in (published, own)]
    assert [weights.official for weights in found] == [True, False]
    assert [weights.description for weights in found] == [
        "official (Xie et al. 2019, VoxCeleb2)",
        "official.h5 (the user's own)",
    ]


def test_digest_behind_a_path_is_checked_and_left_out_of_the_label(tmp_path: Path) -> None:
    path = tmp_path / "mine.h5"
    write_keras(path, untrained(0))
    pinned = f"{path}#{sha256_of(path)[:12]}"
    assert chosen(pinned)[0].description == "mine.h5 (the user's own)"
    write_keras(path, untrained(1))
    with pytest.raises(WeightsError, match="other bytes"):
        chosen(pinned)


def test_centres_are_read_as_they_are(tmp_path: Path) -> None:
    network = untrained(2)
    write_keras(tmp_path / "weights.h5", network)
    np.testing.assert_array_equal(
        read_keras_state(tmp_path / "weights.h5")["pool.centres"], network.pool.centres.detach().numpy()
    )


def test_shipped_weights_are_small_whole_and_give_vectors_that_differ() -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(2, 1, 257, 120, generator=generator).cumsum(dim=2) / 16
    for number, (digest, path) in enumerate(sources.DISTILLED.items(), start=1):
        assert path.stat().st_size <= 16_000_000
        shipped, network = chosen(f"distilled#{digest[:8]}")
        assert shipped.digest == digest and shipped.stand_in
        assert shipped.description.startswith(f"distilled, version {number} ")
        with torch.inference_mode():
            low, high = network(inputs)
        assert 0 < low @ high < 0.999
    assert chosen("distilled")[0] == shipped  # the newest


@pytest.mark.parametrize("pin", ["0123456789ab", "0ab97b3", "x"])
def test_a_version_that_does_not_ship_is_refused_with_those_that_do(pin: str) -> None:
    with pytest.raises(WeightsError, match=f"no version distilled#{pin} .*there are distilled#0ab97b3121a8"):
        chosen(f"distilled#{pin}")


def test_tampered_shipped_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest, path = list(sources.DISTILLED.items())[-1]
    changed = bytearray(path.read_bytes())
    changed[-1] ^= 1
    (tmp_path / "weights.safetensors").write_bytes(changed)
    monkeypatch.setitem(sources.DISTILLED, digest, tmp_path / "weights.safetensors")
    with pytest.raises(WeightsError, match="not the shipped file"):
        chosen("distilled")
