"""The fast reader gives what PyYAML's own gives."""

import pytest
import yaml

from pipeline.runtime.fast_yaml import parse_yaml
from tests.stages.project import ROOT


@pytest.mark.parametrize("name", ["params.yaml", "dvc.yaml"])
def test_files_of_the_project_read_the_same(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert parse_yaml(text) == yaml.safe_load(text)


@pytest.mark.parametrize("text", ["", "a: 1e-5\nb: 1.0e-5\nc: on\nd: ~\ne: 0o17\nf: 2026-11-23", "é: [ß, {x: 'y'}]"])
def test_values_read_the_same(text: str) -> None:
    assert parse_yaml(text) == yaml.safe_load(text)


@pytest.mark.parametrize(
    "text", ["a: [1", "<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> other", "a: !!python/name:os.system"]
)
@pytest.mark.parametrize("libyaml", [True, False])
def test_what_is_no_plain_yaml_is_refused(text: str, libyaml: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml, "__with_libyaml__", libyaml and yaml.__with_libyaml__)
    with pytest.raises(yaml.YAMLError):
        parse_yaml(text)
