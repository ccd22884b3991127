"""Extractors by name: every one keeps the contract, and every option of every one is in the key of its results."""

import importlib
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from extractors.base import NO_WEIGHTS, Extractor, ExtractorOptions, Weights
from extractors.faces.crop import SquareCrop
from extractors.faces.face import DETECTORS, FACE_EXTRACTORS, FaceExtractor
from extractors.registry import Registry
from extractors.voices.voice import VOICE_EXTRACTORS
from pipeline.config import load_params
from pipeline.errors import ConfigError, RunError
from pipeline.runtime.compat import import_facenet_pytorch

ROOT = Path(__file__).resolve().parents[2]
PARAMS = load_params(ROOT / "params.yaml")
CPU = torch.device("cpu")
KINDS: dict[str, tuple[Registry[Any], dict[str, object]]] = {
    "detect_faces": (DETECTORS, PARAMS.detect_faces.options),
    "embed_faces": (FACE_EXTRACTORS, PARAMS.embed_faces.options),
    "embed_voices": (VOICE_EXTRACTORS, PARAMS.embed_voices.options),
}
EVERY = [(section, name) for section, (registry, _) in KINDS.items() for name in registry.names()]


def facenet_state(folder: Path) -> str:
    torch.manual_seed(0)
    save_file(import_facenet_pytorch().InceptionResnetV1(pretrained=None).state_dict(), folder / "other.safetensors")
    return str(folder / "other.safetensors")


OTHER_WEIGHTS: dict[str, Callable[[Path], str]] = {
    "facenet": facenet_state,
    "utterance_aggregator": lambda _: "untrained",
}


def build(section: str, name: str, **changes: object) -> Any:
    registry, options = KINDS[section]
    return registry.build(name, options | changes, CPU)


def changed(options: ExtractorOptions, key: str, name: str, folder: Path) -> object:
    """Another value of an option, which its class takes."""
    value, field = getattr(options, key), type(options).model_fields[key]
    if key == "weights":
        return OTHER_WEIGHTS[name](folder)
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):  # one of several words
        return next(word for word in get_args(field.annotation) if word != value)
    if isinstance(value, list):
        return [value[0] * 0.9, *value[1:]]
    return value + 1 if isinstance(value, int) else value * 0.9


@pytest.mark.parametrize(("section", "name"), EVERY)
def test_every_option_of_every_extractor_changes_its_key(section: str, name: str, tmp_path: Path) -> None:
    extractor = build(section, name)
    keys = {extractor.fingerprint()}
    options = type(extractor).Options.model_fields
    for key in options:
        keys.add(build(section, name, **{key: changed(extractor.options, key, name, tmp_path)}).fingerprint())
    assert len(keys) == 1 + len(options)
    assert build(section, name).fingerprint() == extractor.fingerprint()


def test_no_two_extractors_share_a_key() -> None:
    assert len({build(section, name).fingerprint() for section, name in EVERY}) == len(EVERY)


@pytest.mark.parametrize(("section", "name"), EVERY)
def test_version_of_the_code_and_of_the_decoder_change_the_key(
    section: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    extractor = build(section, name)
    keys = {extractor.fingerprint()}
    with monkeypatch.context() as patch:
        patch.setattr(type(extractor), "version", extractor.version + 1)
        keys.add(extractor.fingerprint())
    monkeypatch.setattr("extractors.base.MEDIA_VERSION", "media of tomorrow")
    assert len(keys | {extractor.fingerprint()}) == 3


@pytest.mark.parametrize(("section", "name"), [(section, name) for section, name in EVERY if section != "detect_faces"])
def test_what_runs_in_a_worker_needs_no_model_library(section: str, name: str) -> None:
    preparer = pickle.dumps(build(section, name).preparer())
    script = f"import pickle, sys; pickle.loads({preparer!r}); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(("section", "name"), EVERY)
def test_provenance_says_what_would_make_the_extractor_again(section: str, name: str) -> None:
    extractor = build(section, name)
    told: Any = extractor.provenance()
    again = KINDS[section][0].build(told["extractor"], told["options"], CPU)
    assert again.fingerprint() == told["fingerprint"] and told["weights"]["digest"] == extractor.weights.digest


class Plain(FaceExtractor):
    """A second face extractor, whose author hashes nothing."""

    version, dimension = 1, 4

    class Options(ExtractorOptions):
        margin: int

    options: Options

    def load(self) -> Weights:
        return NO_WEIGHTS

    def preparer(self) -> SquareCrop:
        return SquareCrop(112, self.options.margin)

    def __call__(self, batch: Any) -> Any:
        return [np.eye(4)[0] for _ in batch]


@pytest.fixture
def plain() -> Registry[FaceExtractor]:
    registry: Registry[FaceExtractor] = Registry("extractors.faces", "embed_faces", "extractor")
    registry.register("plain")(Plain)
    return registry


def test_margin_is_in_the_key_of_an_extractor_whose_author_thought_of_none(plain: Registry[FaceExtractor]) -> None:
    keys = {plain.build("plain", {"margin": margin}, CPU).fingerprint() for margin in (0, 40)}
    assert len(keys) == 2


def test_crop_s_own_numbers_are_in_the_key_beside_the_options(plain: Registry[FaceExtractor], monkeypatch) -> None:
    extractor = plain.build("plain", {"margin": 0}, CPU)
    keys = {extractor.fingerprint()}
    monkeypatch.setattr(SquareCrop, "version", 2)
    keys.add(extractor.fingerprint())
    monkeypatch.setattr(Plain, "preparer", lambda self: SquareCrop(128, self.options.margin))
    assert len(keys | {extractor.fingerprint()}) == 3


@pytest.mark.parametrize("name", ["fingerprint", "provenance"])
def test_no_extractor_makes_its_own_fingerprint(name: str) -> None:
    with pytest.raises(TypeError, match=f"must not define {name}"):
        type("Forgetful", (Extractor,), {name: lambda self: "the same for ever"})


def test_digest_that_is_none_is_refused() -> None:
    with pytest.raises(TypeError, match="must be a hex SHA-256, not ''"):
        Weights("mine", "", "mine", None)


LION = """
from tests.extractors.test_registry import Plain

class Lion(Plain):
    \"\"\"A lion.\"\"\"
    name = "lion"
    gain = 1.0
"""


@pytest.mark.parametrize(("old", "new", "same"), [("A lion", "A bear", True), ("gain = 1.0", "gain = 2.0", False)])
def test_source_of_an_extractor_is_in_its_key_and_its_words_are_not(
    old: str, new: str, same: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)

    def lion(module: str, source: str) -> Any:
        (tmp_path / f"{module}.py").write_text(source)
        monkeypatch.delitem(sys.modules, module, raising=False)
        return importlib.import_module(module).Lion(Plain.Options(margin=0), CPU)

    extractor, other = lion("lion_of_one_file", LION), lion("lion_of_another_file", LION.replace(old, new))
    keys = [(one.fingerprint(), one.provenance()["code"]) for one in (extractor, other)]
    assert (keys[0] == keys[1]) is same and len({key for key, _ in keys}) == (1 if same else 2)
    (tmp_path / "lion_of_one_file.py").write_text(LION.replace(old, new))  # under the process that imported it
    if same:
        assert extractor.fingerprint() == keys[0][0]
    else:
        with pytest.raises(RunError, match="source of extractor lion has changed since it was imported: start again"):
            extractor.fingerprint()


CUTTER = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Cutter:
    version = 1

    def __call__(self, frame, box, landmarks):
        return frame[:8]
"""


def test_source_of_the_preparer_is_in_the_key_wherever_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cutter_of_one_file.py").write_text(CUTTER)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cutter_of_one_file", raising=False)
    cutter = importlib.import_module("cutter_of_one_file").Cutter()
    extractor = type("Cutting", (Plain,), {"name": "cutting", "preparer": lambda self: cutter})(
        Plain.Options(margin=0), CPU
    )
    before = extractor.fingerprint()
    (tmp_path / "cutter_of_one_file.py").write_text(CUTTER.replace("8", "9"))
    assert extractor.fingerprint() != before


@pytest.mark.parametrize(("section", "known"), [("embed_faces", "facenet"), ("embed_voices", "campplus")])
def test_unknown_names_list_the_known_ones(section: str, known: str) -> None:
    with pytest.raises(ConfigError, match=rf"{section}\.extractor: 'wavlm' is not known.*{known}"):
        build(section, "wavlm")


def test_mistyped_key_is_refused_with_the_one_that_was_meant() -> None:
    with pytest.raises(
        ConfigError, match=r"(?s)embed_faces in params.yaml.*margn: unknown key \(did you mean 'margin'\?\)"
    ):
        FACE_EXTRACTORS.build("facenet", {"weights": "casia-webface", "margn": 0}, CPU)


def test_absent_key_is_named() -> None:
    with pytest.raises(ConfigError, match=r"its options: weights, margin.*(?s:.)*margin: missing; add it"):
        FACE_EXTRACTORS.build("facenet", {"weights": "casia-webface"}, CPU)


def test_keys_of_another_extractor_do_no_harm_and_are_named(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        extractor = DETECTORS.build("none", PARAMS.detect_faces.options, CPU)
    assert extractor.fingerprint() == DETECTORS.build("none", {}, CPU).fingerprint()
    assert "detect_faces: not used by none: choose, max_side, min_face, min_probability, thresholds" in caplog.text


ZOO: Registry[FaceExtractor] = Registry("zoo", "embed_faces", "extractor")


def test_new_extractor_is_one_file_and_a_neighbour_that_cannot_be_imported_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "zoo").mkdir()
    (tmp_path / "zoo" / "__init__.py").touch()
    own = "from tests.extractors.test_registry import ZOO, Plain\nZOO.register('tiny')(type('Tiny', (Plain,), {}))\n"
    (tmp_path / "zoo" / "tiny.py").write_text(own)
    (tmp_path / "zoo" / "broken.py").write_text("import a_library_that_is_absent\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert ZOO.build("tiny", {"margin": 3}, CPU).name == "tiny"
    assert caplog.text == ""  # the other file was not looked at
    with pytest.raises(ConfigError, match="known: tiny"):
        ZOO.find("teeny")
    assert "zoo.broken cannot be imported" in caplog.text and "a_library_that_is_absent" in caplog.text


def test_finding_one_extractor_imports_no_other(tmp_path: Path) -> None:
    script = (
        "import sys; from extractors.voices.voice import VOICE_EXTRACTORS; VOICE_EXTRACTORS.find('campplus'); "
        "print([name for name in sys.modules if 'aggregator' in name or name.startswith('extractors.faces')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\n"
