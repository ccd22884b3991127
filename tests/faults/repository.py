"""A small git and DVC repository with the real pipeline in it: few people, one run, seconds instead of minutes."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.stages.project import DEMO, ROOT

PEOPLE, CLIPS = 8, 2
RUN = "single_fop"
_SHIPPED = ("stages", "pipeline", "extractors", ".dvc", ".dvc-site-cache", "data/lists", "data/features")
_FILES = ("dvc.yaml", "params.yaml", ".dvcignore", ".gitignore", "data/no_identities.csv", "data/no_items.csv")
_SMALL: dict[str, dict[str, object]] = {
    "manifest": {"media": "media", "identities": "data/no_identities.csv", "columns": {}},
    "detect_faces": {"max_frames": 2},
    "protocol": {
        "validation_ratio": 0.25,
        "test_ratio": 0.25,
        "pairs_per_identity": 8,
        "trials": 40,
        "galleries": 10,
        "gallery_size": 2,
        "criteria": ["random"],
    },
    "train": {"epochs": 2, "batch_size": 8, "seeds": [0]},
    "evaluate": {"matching_sizes": [2], "bootstrap": 0},
}


def environment(**more: str) -> dict[str, str]:
    """The surroundings of a command: this Python first, no settings of the person who runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SBNET_", "DVC_", "GIT_"))}
    who = {f"GIT_{role}_{what}": "fault@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    plain = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "OMP_NUM_THREADS": "1"}
    plain["TQDM_MININTERVAL"] = "0.1"  # tests look at how far a stage has come
    plain["DVC_SITE_CACHE_DIR"] = ""  # .dvc/config says where: the environment's own would grow with every test
    return {**kept, **who, **plain, "PATH": path, "SBNET_DEVICE": "cpu", "DVC_NO_ANALYTICS": "1", **more}


@dataclass(frozen=True)
class Outcome:
    """What a DVC command did."""

    code: int
    log: str

    @property
    def ran(self) -> list[str]:
        """Stages that were run, in order."""
        return re.findall(r"^Running stage '([^']+)'", self.log, re.MULTILINE)

    @property
    def counts(self) -> dict[str, str]:
        """The line of counts of each extraction stage that was run."""
        return dict(re.findall(r"(\w+): \d+ items: (.*skipped)", self.log))


@dataclass(frozen=True)
class Repository:
    """A working tree in which DVC and git are run."""

    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    def command(self, *arguments: str) -> list[str]:
        """DVC's command line."""
        return [sys.executable, "-m", "dvc", *arguments]

    def dvc(self, *arguments: str, fails: bool = False) -> Outcome:
        """Run DVC to its end."""
        answer = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=environment(**self.variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert (answer.returncode != 0) == fails, answer.stdout
        return Outcome(answer.returncode, answer.stdout)

    def git(self, *arguments: str) -> None:
        """Run git to its end."""
        subprocess.run(["git", *arguments], cwd=self.folder, env=environment(), check=True, capture_output=True)

    def params(self, **sections: Mapping[str, object]) -> None:
        """Change keys of params.yaml."""
        raw: dict[str, Any] = yaml.safe_load((self.folder / "params.yaml").read_text())
        for name, changes in sections.items():
            raw[name].update(changes)
        (self.folder / "params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))

    def add_clip(self, number: int = CLIPS) -> Path:
        """Give the first person one more clip of the shipped corpus."""
        person = people()[0]
        target = self.folder / "media" / person / f"{number}.mp4"
        target.write_bytes((DEMO / person / f"{number}.mp4").read_bytes())
        return target

    def output(self, name: str) -> bytes:
        """Bytes of a file below artifacts/."""
        return (self.folder / "artifacts" / name).read_bytes()

    def locked(self, name: str) -> str:
        """MD5 that dvc.lock gives an output below artifacts/, which is also its name in caches and remotes."""
        stages = yaml.safe_load((self.folder / "dvc.lock").read_text())["stages"]
        outs = {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", [])}
        return str(outs[f"artifacts/{name}"])


def people() -> list[str]:
    """The people of the shipped corpus that the small one is made of."""
    return sorted(path.name for path in DEMO.glob("id*") if (path / f"{CLIPS}.mp4").exists())[:PEOPLE]


def copy_pipeline(folder: Path) -> Repository:
    """The pipeline as it ships, with small settings and one run, in a new git repository that holds no media yet."""
    repository = Repository(folder)
    for name in _shipped_files():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    repository.params(**_SMALL)
    raw = yaml.safe_load((folder / "params.yaml").read_text())
    raw["experiments"] = {RUN: raw["experiments"][RUN]}
    (folder / "params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
    share_weights(folder)
    repository.git("init", "--quiet")
    return repository


def _shipped_files() -> list[str]:
    """What of the project ships: all that git does not ignore, in a clone as in a downloaded ZIP without .git."""
    with tempfile.TemporaryDirectory() as empty:
        subprocess.run(["git", "init", "--quiet", "--bare", empty], check=True, capture_output=True)
        listing = [
            "git",
            f"--git-dir={empty}",
            f"--work-tree={ROOT}",
            "ls-files",
            "-z",
            "--others",
            "--exclude-standard",
        ]
        listed = subprocess.run([*listing, "--", *_SHIPPED, *_FILES], cwd=ROOT, capture_output=True, check=True)
    return [name for name in listed.stdout.decode().split("\0") if name]


def make_repository(folder: Path) -> Repository:
    """The pipeline as it ships, on a small corpus that DVC tracks; nothing has run yet."""
    repository = copy_pipeline(folder)
    for person in people():
        for number in range(CLIPS):
            target = folder / "media" / person / f"{number}.mp4"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(DEMO / person / target.name, target)
    repository.dvc("add", "--quiet", "media")
    repository.git("add", ".")
    repository.git("commit", "--quiet", "-m", "The pipeline and a small corpus")
    return repository


def clone(origin: Repository, folder: Path, **variables: str) -> Repository:
    """What a colleague has after `git clone`: no media, outputs or caches; only converted weights are shared."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["git", "clone", "--quiet", str(origin.folder), str(folder)], env=environment(), check=True, capture_output=True
    )
    share_weights(folder)
    return Repository(folder, variables)


def same_machine(origin: Repository, folder: Path) -> Repository:
    """The working tree as its author has it: media and outputs there, DVC's cache shared, the item cache filled."""
    author = clone(origin, folder)
    author.dvc("cache", "dir", "--local", str(origin.folder / ".dvc" / "cache"))
    author.dvc("checkout")
    (folder / ".sbnet" / "items.sqlite").write_bytes((origin.folder / ".sbnet" / "items.sqlite").read_bytes())
    return author


def share_weights(folder: Path) -> None:
    """Let a project use the weights that this checkout has converted: that is no part of what is tested."""
    weights = Path(os.environ.get("SBNET_HOME", ROOT / ".sbnet")) / "weights"
    weights.mkdir(parents=True, exist_ok=True)
    (folder / ".sbnet").mkdir(exist_ok=True)
    (folder / ".sbnet" / "weights").symlink_to(weights)
