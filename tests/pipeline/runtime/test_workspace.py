"""Where caches lie."""

from pathlib import Path

import pytest

from pipeline.runtime.workspace import home, items_path


@pytest.mark.parametrize("value", [None, ""])
def test_caches_are_in_the_project_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.delenv("SBNET_HOME", raising=False)
    if value is not None:
        monkeypatch.setenv("SBNET_HOME", value)
    assert home() == tmp_path / ".sbnet"


def test_caches_are_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SBNET_HOME", str(tmp_path / "big disk"))
    assert items_path() == tmp_path / "big disk" / "items.sqlite"


def test_experiment_in_a_copy_shares_the_projects_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "copy").mkdir()
    monkeypatch.chdir(tmp_path / "copy")
    monkeypatch.delenv("SBNET_HOME", raising=False)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    assert items_path() == tmp_path / ".sbnet" / "items.sqlite"


def test_a_relative_home_is_the_projects_in_an_experiments_copy_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "copy").mkdir()
    monkeypatch.chdir(tmp_path / "copy")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("SBNET_HOME", "cache")
    assert home() == tmp_path / "cache"
    monkeypatch.setenv("SBNET_HOME", "~/cache")
    assert home() == (Path.home() / "cache").resolve()
