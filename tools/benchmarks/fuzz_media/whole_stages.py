"""A sample of the mutants through the stages themselves: each must be in a store or in skipped.csv."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from pipeline.extraction.tasks import may_hold_voices
from pipeline.files import sha256_of
from tests.stages.project import Project, make_project

_ALL = {"max_skip_ratio": 1.0}  # all may be bad


def run_stages(folder: Path, paths: Sequence[Path], workers: int) -> tuple[dict[str, int], list[str]]:
    """Manifest, detection and both embeddings on these files; counts, and sentences on what went missing."""
    media = _distinct(paths)
    sections: dict[str, Mapping[str, object]] = dict.fromkeys(
        ("manifest", "detect_faces", "embed_faces", "embed_voices"), _ALL
    )
    project = make_project(folder, media, **sections)
    project.extract(SBNET_WORKERS=str(workers))
    manifest = project.table("manifest.parquet")
    faults = [f"{item} is not in the manifest" for item in sorted(set(media) - set(manifest["item"]))]
    counts = {"files": len(media)}
    seen = manifest[manifest["kind"].isin(["video", "image"])]
    for modality, rows in (("faces", seen), ("voices", may_hold_voices(manifest))):
        wanted = set(rows["item"])
        stored, skipped = _stored(project, modality), _skipped(project, modality)
        counts |= {f"{modality} embedded": len(stored), f"{modality} skipped": len(skipped)}
        faults += [f"{item}: neither among the {modality} nor skipped" for item in sorted(wanted - stored - skipped)]
        faults += [f"{item}: both among the {modality} and skipped" for item in sorted(stored & skipped)]
    return counts, faults


def _distinct(paths: Sequence[Path]) -> dict[str, Path]:
    """Name below the media folder -> file, one person per original; of equal bytes one, as the manifest demands."""
    by_digest = {sha256_of(path): path for path in paths}
    return {f"id{number % 4:04d}/{path.name}": path for number, path in enumerate(sorted(by_digest.values()))}


def _stored(project: Project, modality: str) -> set[str]:
    return set(project.store(modality).index["item"])


def _skipped(project: Project, modality: str) -> set[str]:
    skips = project.table(f"{modality}/skipped.csv")
    unexplained = skips["reason"].isna() | (skips["reason"].astype("string").str.strip() == "")
    assert not unexplained.any(), skips[unexplained]
    return set(skips["item"].astype(pd.StringDtype()))
