"""A throwaway project around the real stages: its own params.yaml, media and item cache, the code of this checkout."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from pipeline.store import Store, read_store

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "data" / "demo"


@dataclass(frozen=True)
class Project:
    """A folder that stages run in."""

    folder: Path

    def run(self, stage: str, *arguments: str, fails: bool = False, **environment: str) -> str:
        """Run a stage as DVC would; returns its stderr."""
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
        assert (answer.returncode != 0) == fails, answer.stderr
        assert "Traceback" not in answer.stderr, answer.stderr
        return answer.stderr

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


def make_project(folder: Path, media: Mapping[str, Path], **sections: Mapping[str, object]) -> Project:
    """A project whose media folder holds links (name below it -> file); it shares this checkout's converted weights."""
    project = Project(folder)
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
