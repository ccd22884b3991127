"""What the comparison with the plain loops counts as extraction."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.stages.project import Project
from tools.benchmarks.extraction import __main__ as extraction

CONVERSION, START, EXTRACTION = 100.0, 5.0, 10.0  # s


def test_conversion_of_networks_is_no_extraction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home without converted networks, as every project of the benchmark has one at first."""

    def project_of(folder: Path, media: Mapping[str, Path], **sections: Mapping[str, object]) -> Project:
        (folder / ".sbnet").mkdir(parents=True)
        return Project(folder)

    def timed(project: Project, command: Sequence[str], workers: int) -> np.ndarray:
        if command[1] != "stages.embed_voices":
            return np.array([50.0, 50.0])
        seconds = START
        for made, cost in (("networks", CONVERSION), ("items.sqlite", EXTRACTION)):
            seconds += 0.0 if (project.home / made).exists() else cost
            (project.home / made).touch()
        return np.array([seconds, seconds])

    np.savez(tmp_path / "plain.npz", seconds=40.0)
    monkeypatch.setattr(extraction, "project_of", project_of)
    monkeypatch.setattr(extraction, "timed", timed)
    monkeypatch.setattr(extraction, "_plain_voices", lambda *_: ["-m", "loop", "", str(tmp_path / "plain.npz")])
    for name in ("_plain_vectors", "_vectors"):
        monkeypatch.setattr(extraction, name, lambda *_: {("ann/one.wav", -1): np.ones(4)})
    subject = extraction.Subject("voices", {"ann/one.wav": tmp_path}, ("embed_voices",), "embed_voices", "voices")
    found = extraction.compare(tmp_path / "0", subject, repeats=1, workers=0)
    assert [one.ours.extraction for one in found] == [EXTRACTION, EXTRACTION]
    assert [one.ours.whole for one in found] == [START + EXTRACTION, START + EXTRACTION]
