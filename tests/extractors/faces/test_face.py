import itertools

import numpy as np
import pytest

from extractors.faces.face import Detection, choose_face


def face(x1: float, y1: float, x2: float, y2: float, probability: float = 0.9) -> Detection:
    return Detection(np.array([x1, y1, x2, y2], np.float32), probability, np.zeros((5, 2), np.float32))


SMALL_CENTRAL = face(45, 45, 55, 55)
LARGE_CORNER = face(0, 0, 40, 40)
SAME_SIZE_SURER = face(60, 0, 100, 40, 0.99)
SAME_AS_CORNER_LOWER = face(0, 60, 40, 100)


def test_largest_box_or_most_central_box_is_chosen() -> None:
    assert choose_face([SMALL_CENTRAL, LARGE_CORNER], "largest", 100, 100) is LARGE_CORNER
    assert choose_face([SMALL_CENTRAL, LARGE_CORNER], "central", 100, 100) is SMALL_CENTRAL


def test_central_means_the_frame_s_own_centre() -> None:
    left, right = face(10, 40, 30, 60), face(160, 40, 180, 60)
    assert choose_face([left, right], "central", 100, 100) is left
    assert choose_face([left, right], "central", 300, 100) is right


@pytest.mark.parametrize(
    ("faces", "winner"),
    [
        ([LARGE_CORNER, SAME_SIZE_SURER, SAME_AS_CORNER_LOWER], SAME_SIZE_SURER),  # equal sizes: the surer
        ([LARGE_CORNER, SAME_AS_CORNER_LOWER, face(60, 60, 100, 100)], LARGE_CORNER),  # all equal: left, then top
    ],
)
@pytest.mark.parametrize("rule", ["largest", "central"])
def test_ties_do_not_depend_on_the_order_of_finding(faces: list[Detection], winner: Detection, rule: str) -> None:
    for order in itertools.permutations(faces):
        assert choose_face(order, rule, 100, 100) is winner


def test_no_face_to_choose_from_is_none() -> None:
    assert choose_face([], "largest", 100, 100) is None
