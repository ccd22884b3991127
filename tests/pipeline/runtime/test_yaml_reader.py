"""The one reader of YAML gives what DVC reads: dvc.lock must record the values that a stage ran on."""

import datetime

import pytest
from dvc.utils.serialize import parse_yaml as read_by_dvc

from pipeline.runtime.yaml_reader import YAMLError, parse_yaml
from tests.stages.project import ROOT


@pytest.mark.parametrize("name", ["params.yaml", "dvc.yaml"])
def test_files_of_the_project_are_what_dvc_reads(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert parse_yaml(text) == read_by_dvc(text, name)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-5", 1e-5),
        ("1e-05", 1e-5),
        ("1E5", 1e5),
        ("1.0e-5", 1e-5),
        (".5", 0.5),
        ("010", 10),
        ("0o10", 8),
        ("2024_11", 202411),
        ("12:30", "12:30"),  # a number of base 60 to YAML 1.1
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("true", True),
        ("~", None),
        ("'1e-5'", "1e-5"),
        ("2026-11-23", datetime.date(2026, 11, 23)),
    ],
)
def test_plain_values_are_those_of_yaml_1_2_and_of_dvc(text: str, value: object) -> None:
    read = parse_yaml(f"key: {text}")["key"]
    assert read == value and type(read) is type(value)
    assert read_by_dvc(f"key: {text}", "params.yaml") == {"key": value}


def test_an_empty_file_is_none() -> None:
    assert parse_yaml("") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "line 1"),
        ("<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> other", "line"),
        ("a: !!python/name:os.system x", "python/name"),
        ("train:\n  epochs: 1\n  epochs: 2", r'duplicate key "epochs"'),
        ("a: 2026-99-99", "month"),
        ("a: \x00", "control characters"),
        ("a: 1\n---\nb: 2", "another document"),
    ],
)
def test_what_is_no_plain_yaml_is_refused(text: str, message: str) -> None:
    with pytest.raises(YAMLError, match=message):
        parse_yaml(text)
