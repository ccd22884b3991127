"""Settings: the file's numbers, changed by the command line, refused where they make no corpus."""

from dataclasses import replace
from pathlib import Path

import pytest

from tools.corpus.errors import SettingsError
from tools.corpus.settings import read_arguments, shipped_settings


def test_the_command_line_changes_only_what_it_names() -> None:
    settings, out = read_arguments(["--out", "x", "--people", "6", "--seed", "9"])
    assert out == Path("x")
    assert settings == replace(shipped_settings(), people=6, seed=9)


def test_the_shipped_corpus_is_the_default_folder() -> None:
    assert read_arguments([])[1] == Path(__file__).resolve().parents[3] / "data" / "demo"


def test_association_scales_every_strength() -> None:
    shipped = shipped_settings().association
    assert read_arguments(["--out", "x", "--association", "0.5"])[0].association == shipped.scaled(0.5)


@pytest.mark.parametrize(("name", "value"), [("people", 0), ("side", 191), ("rate", -1), ("workers", 0)])
def test_a_number_that_makes_no_corpus_is_refused_by_name(name: str, value: int) -> None:
    with pytest.raises(SettingsError, match=name):
        replace(shipped_settings(), **{name: value})
