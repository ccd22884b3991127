"""An environment and a checkout that were moved, used from a subfolder, or downloaded without git."""

import shutil
import stat
import subprocess
import sysconfig
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.repository import environment
from tests.stages.project import ROOT


@dataclass(frozen=True)
class Checkout:
    """A project of one stage, with this checkout's .dvc/config and an environment of its own."""

    folder: Path

    def run(self, *command: str, inside: str = ".") -> str:
        """Run a command in a folder of it as a shell with only its environment does; returns what it says."""
        variables = environment(PATH=f"{self.folder / '.venv/bin'}:/usr/bin:/bin", DVC_NO_ANALYTICS="1")
        del variables["DVC_SITE_CACHE_DIR"]
        done = subprocess.run(
            command, cwd=self.folder / inside, env=variables, capture_output=True, text=True, check=True
        )
        return done.stdout + done.stderr

    def setup(self) -> str:
        """What `make setup` does once the packages are installed."""
        return self.run(str(self.folder / ".venv/bin/python"), "-m", "tools.environment")

    def writable_by_all(self) -> Iterator[Path]:
        """Its files and folders that everybody may write."""
        for path in self.folder.rglob("*"):
            if not path.is_symlink() and path.stat().st_mode & stat.S_IWOTH:
                yield path


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A checkout without git, whose environment has this one's packages and one command, dvc."""
    folder = tmp_path / "old"
    for name in (".dvc/config", ".dvc/.gitignore", ".dvc-site-cache/repo/.gitignore", "tools/environment.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / "sub").mkdir()
    (folder / "dvc.yaml").write_text("stages:\n  one:\n    cmd: echo 1 > out.txt\n    outs: [out.txt]\n")
    venv.EnvBuilder(with_pip=False, symlinks=True).create(folder / ".venv")
    variables = {"base": str(folder / ".venv"), "platbase": str(folder / ".venv")}
    packages = Path(sysconfig.get_path("purelib", "venv", variables))
    (packages / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n")
    dvc = folder / ".venv/bin/dvc"
    dvc.write_text(f"#!{folder}/.venv/bin/python\nimport sys\nfrom dvc.cli import main\nsys.exit(main())\n")
    dvc.chmod(0o755)
    return Checkout(folder)


def test_project_without_git_runs_and_says_what_it_lacks(checkout: Checkout) -> None:
    assert "no git repository here, as in a downloaded ZIP" in checkout.setup()
    assert checkout.setup() == ""
    assert "Running stage 'one'" in checkout.run("dvc", "repro")
    checkout.run("git", "init", "--quiet")
    checkout.setup()
    assert "no_scm" not in (checkout.folder / ".dvc/config.local").read_text()
    checkout.run("dvc", "status")


def test_dvc_makes_no_folder_that_everybody_may_write(checkout: Checkout) -> None:
    checkout.setup()
    for inside in (".", "sub"):
        checkout.run("dvc", "status", inside=inside)
    assert not list(checkout.writable_by_all())
    assert not (checkout.folder / "sub" / ".dvc-site-cache").exists()
    moved = Checkout(checkout.folder.rename(checkout.folder.with_name("new")))
    moved.run("python", "-m", "dvc", "status")
    assert not list(moved.writable_by_all()) and not checkout.folder.exists()


@pytest.mark.parametrize("name", ["new", "a place with spaces", "deep/" + "x" * 130])
def test_commands_of_a_moved_environment_start_again(checkout: Checkout, name: str) -> None:
    checkout.setup()
    (checkout.folder.parent / name).parent.mkdir(exist_ok=True)
    moved = Checkout(checkout.folder.rename(checkout.folder.parent / name))
    with pytest.raises(OSError, match="No such file"):
        moved.run(str(moved.folder / ".venv/bin/dvc"), "status")
    assert "the environment was moved: 1 commands" in moved.setup()
    assert moved.setup() == ""
    moved.run(str(moved.folder / ".venv/bin/dvc"), "status")
    assert f'VIRTUAL_ENV="{moved.folder}/.venv"' in (moved.folder / ".venv/bin/activate").read_text().replace("'", '"')
    again = Checkout(moved.folder.rename(checkout.folder))
    assert "the environment was moved: 1 commands" in again.setup()
    again.run("dvc", "status")


def test_environment_that_is_a_link_to_another_is_left_as_it_is(checkout: Checkout, tmp_path: Path) -> None:
    (checkout.folder / ".venv").rename(tmp_path / "shared")
    (checkout.folder / ".venv").symlink_to(tmp_path / "shared")
    Checkout(checkout.folder).setup()
    before = (tmp_path / "shared/bin/dvc").read_bytes()
    (tmp_path / "other").mkdir()
    for name in (".dvc", "tools"):
        shutil.copytree(checkout.folder / name, tmp_path / "other" / name)
    (tmp_path / "other/.venv").symlink_to(tmp_path / "shared")
    Checkout(tmp_path / "other").setup()
    assert (tmp_path / "shared/bin/dvc").read_bytes() == before


def test_site_cache_that_an_earlier_setup_named_by_its_path_is_forgotten(checkout: Checkout) -> None:
    (checkout.folder / ".dvc/config.local").write_text(
        "[core]\n    site_cache_dir = /old/.dvc-site-cache\n    no_scm = true\n"
    )
    checkout.setup()
    assert (checkout.folder / ".dvc/config.local").read_text() == "[core]\n    no_scm = true\n"
