"""An extractor that gives rubbish for one item: the item is named, nothing of it is cached, the others are kept."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.extraction.item_cache import ItemCache
from tests.stages.project import ROOT, Project, make_project
from tests.stages.test_extraction_stages import SILENT_ABOUT_SKIPS, demo_clips, last_lines

pytestmark = [pytest.mark.faults, pytest.mark.stage]

# A real extractor of one's own, as a user would register it; what it gives for the second utterance is broken.
PROGRAM = """
import sys
import numpy as np
from extractors.base import NO_WEIGHTS
from extractors.voices.voice import VOICE_EXTRACTORS, VoiceExtractor
from stages import embed_voices
from stages.common import run_stage

@VOICE_EXTRACTORS.register("broken")
class Broken(VoiceExtractor):
    version, dimension, sample_rate = 1, 512, 16000
    calls = 0
    def load(self): return NO_WEIGHTS
    def __call__(self, batch):
        Broken.calls += 1
        sound = np.eye(512, dtype=np.float32)[Broken.calls % 512 : Broken.calls % 512 + len(batch)]
        rubbish = {"nan": sound * np.nan, "inf": sound * np.inf, "zero": sound * 0, "long": sound * 2,
                   "narrow": sound[:, :511], "short": sound[:0]}
        return rubbish[sys.argv[1]] if Broken.calls == 2 else sound

run_stage(embed_voices.main, arguments=[])
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Three clips with a manifest, and the broken extractor asked for."""
    sections = {**SILENT_ABOUT_SKIPS, "embed_voices": {"extractor": "broken", "max_skip_ratio": 1.0}}
    made = make_project(tmp_path_factory.mktemp("broken"), demo_clips(3, 1), **sections)
    made.run("manifest")
    return made


def extract(project: Project, kind: str, home: Path) -> "subprocess.CompletedProcess[str]":
    """Embed the voices, decoding in this process, because the program has no file that a worker could import."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SBNET_HOME": str(home), "SBNET_WORKERS": "0"}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, kind],
        cwd=project.folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("kind", "reason"), [("nan", "NaN"), ("inf", "NaN or inf"), ("zero", "norm 0"), ("long", "norm 2")]
)
def test_vector_that_must_not_be_used_costs_its_item(project: Project, tmp_path: Path, kind: str, reason: str) -> None:
    items = sorted(demo_clips(3, 1))
    answer = extract(project, kind, tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert last_lines(answer.stderr)["embed_voices"] == "2 extracted, 0 cached, 1 skipped"
    (skip,) = project.table("voices/skipped.csv").itertuples()
    assert skip.item == items[1] and reason in skip.reason
    assert project.store("voices").index["item"].tolist() == [items[0], items[2]]
    with ItemCache(tmp_path / "items.sqlite") as cache:
        assert cache.usage()[0] == 2


@pytest.mark.parametrize("kind", ["narrow", "short"])
def test_vectors_of_a_wrong_size_stop_the_stage_with_the_item_named(
    project: Project, tmp_path: Path, kind: str
) -> None:
    answer = extract(project, kind, tmp_path)
    assert answer.returncode == 1 and "Traceback" not in answer.stderr, answer.stderr
    assert "ExtractionError" in answer.stderr and sorted(demo_clips(3, 1))[1] in answer.stderr
    with ItemCache(tmp_path / "items.sqlite") as cache:
        assert cache.usage()[0] == 1, "what came before it is kept"
