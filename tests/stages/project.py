"""A throwaway project around the real stages: its own params.yaml, media and item cache, the code of this checkout."""

import contextlib
import importlib
import io
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd
import yaml

from pipeline.store import Store, read_store
from stages.common import run_command, run_stage

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "data" / "demo"


@dataclass(frozen=True)
class Project:
    """A folder that stages run in: each in a process of its own, as DVC has it, or all in this one, in less time."""

    folder: Path
    in_process: bool = False

    def run(self, stage: str, *arguments: str, fails: bool = False, **environment: str) -> str:
        """Run a stage, before train, evaluate and fuse the one that writes a run's settings; returns its stderr."""
        if stage in ("train", "evaluate", "fuse") and "--help" not in arguments:
            self.run("settings")
        return self.run_alone(stage, *arguments, fails=fails, **environment)

    def run_alone(self, stage: str, *arguments: str, fails: bool = False, **environment: str) -> str:
        """Run a stage with what is there, as DVC does; returns its stderr."""
        code, log = (self._here if self.in_process else self._apart)(stage, arguments, environment)
        assert (code != 0) == fails, log
        assert "Traceback" not in log, log
        return log

    def _apart(self, stage: str, arguments: tuple[str, ...], environment: Mapping[str, str]) -> tuple[int, str]:
        answer = subprocess.run(
            [sys.executable, "-m", f"stages.{stage}", *arguments],
            cwd=self.folder,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "SBNET_HOME": str(self.home),
                "OMP_NUM_THREADS": "1",
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        return answer.returncode, answer.stderr

    def _here(self, stage: str, arguments: tuple[str, ...], environment: Mapping[str, str]) -> tuple[int, str]:
        """Exit code and stderr. Media are decoded here, too, unless SBNET_WORKERS is given."""
        main, log = importlib.import_module(f"stages.{stage}").main, io.StringIO()
        with (
            contextlib.chdir(self.folder),
            mock.patch.dict(os.environ, {"SBNET_HOME": str(self.home), "SBNET_WORKERS": "0", **environment}),
            mock.patch.object(sys, "argv", [f"{stage}.py", *arguments]),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(log),
            _logged_to(log),
        ):
            try:
                if stage in ("cache", "export"):
                    run_command(main)
                else:
                    run_stage(main, {"train": "run", "evaluate": "run", "fuse": "fusion"}.get(stage, "nothing"))
            except SystemExit as ended:
                return int(ended.code or 0), log.getvalue()
        return 0, log.getvalue()

    def copy(self, folder: Path) -> "Project":
        """The project once more, with all that its stages have made so far."""
        shutil.copytree(self.folder, folder, symlinks=True, dirs_exist_ok=True)
        return replace(self, folder=folder)

    def extract(self, **environment: str) -> str:
        """Media to both stores; returns the log."""
        stages = ("manifest", "detect_faces", "embed_faces", "embed_voices")
        return "\n".join(self.run(stage, **environment) for stage in stages)

    @property
    def home(self) -> Path:
        """Where the project keeps its item cache."""
        return self.folder / ".sbnet"

    @property
    def media(self) -> Path:
        """Folder of its media."""
        return self.folder / "media"

    def params(self, **sections: Mapping[str, object]) -> None:
        """Write the shipped params.yaml with these keys changed."""
        raw: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
        raw["manifest"].update(media="media", identities=str(ROOT / "data/no_identities.csv"))
        raw["manifest"].update(table=str(ROOT / "data/no_items.csv"), columns={})
        for name, changes in sections.items():
            raw[name].update(changes)
        (self.folder / "params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))

    def store(self, modality: str) -> Store:
        """The packed store of faces or voices."""
        return read_store(self.folder / "artifacts" / modality)

    def table(self, name: str) -> pd.DataFrame:
        """A parquet or CSV file below artifacts/."""
        path = self.folder / "artifacts" / name
        return pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)


@contextlib.contextmanager
def _logged_to(stream: io.StringIO) -> Iterator[None]:
    """Messages go to `stream` as a stage's own process would write them."""
    root, handler = logging.getLogger(), logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.setLevel(level)
        root.removeHandler(handler)


def make_project(
    folder: Path, media: Mapping[str, Path], *, in_process: bool = False, **sections: Mapping[str, object]
) -> Project:
    """A project whose media folder holds links (name below it -> file); it shares this checkout's converted weights."""
    project = Project(folder, in_process)
    for name, source in media.items():
        target = project.media / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.hardlink_to(source) if source.stat().st_dev == folder.stat().st_dev else target.write_bytes(
            source.read_bytes()
        )
    project.media.mkdir(exist_ok=True)
    project.home.mkdir(exist_ok=True)
    weights = Path(os.environ.get("SBNET_HOME", ROOT / ".sbnet")) / "weights"
    weights.mkdir(parents=True, exist_ok=True)
    (project.home / "weights").symlink_to(weights)
    project.params(**sections)
    return project
