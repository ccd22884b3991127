import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from extractors.faces.facenet import FaceNet
from tests.extractors.faces.face_models import ROOT, facenet, portraits
from tools.benchmarks.detection import Comparison, compare


@pytest.fixture(scope="module")
def embed() -> FaceNet:
    return facenet()


def boxes_of(*found: list[list[float]]) -> list[np.ndarray]:
    return [np.array(boxes, np.float32).reshape(-1, 4) for boxes in found]


def compared(embed: FaceNet, theirs: list[np.ndarray], ours: list[np.ndarray]) -> Comparison:
    return compare(portraits(200, 2), lambda _: theirs, lambda _: ours, embed, repeats=1)


def test_faces_lost_and_new_are_counted_and_others_compared(embed: FaceNet) -> None:
    theirs = boxes_of([[40, 40, 140, 140], [150, 150, 190, 190]], [[40, 40, 140, 140]])
    ours = boxes_of([[40, 40, 140, 140]], [[0, 0, 30, 30], [40, 40, 140, 120]])
    one = compared(embed, theirs, ours)
    assert (one.lost, one.new) == (1, 1) and not one.holds()
    assert one.overlaps == [1.0, pytest.approx(0.8)] and one.shifts == [0.0, 20.0]
    assert one.cosines[0] == pytest.approx(1.0, abs=1e-6) and one.cosines[1] < 0.999


def test_the_same_boxes_hold_and_boxes_further_apart_than_allowed_do_not(embed: FaceNet) -> None:
    box = [[40.0, 40.0, 140.0, 140.0]]
    assert compared(embed, boxes_of(box, box), boxes_of(box, box)).holds()
    wider = [[30.0, 40.0, 150.0, 140.0]]
    assert not compared(embed, boxes_of(box, box), boxes_of(wider, wider)).holds()
    assert not compared(embed, boxes_of([], []), boxes_of([], [])).holds()  # nothing was compared


@pytest.mark.stage
def test_its_table_is_of_the_shipped_clips_and_no_face_is_lost() -> None:
    command = [sys.executable, "-m", "tools.benchmarks.detection", "--most", "4", "--repeats", "1"]
    done = subprocess.run(command, cwd=Path(ROOT), capture_output=True, text=True, check=True)
    assert "| demo | 4 of 192x192 | 4 | 0 | 0 | 1.00000, 1.00000 |" in done.stdout
