"""Every odd file is right, through the real stages."""

from pathlib import Path

import numpy as np
import pytest

from tools.benchmarks.odd_media import PART, RIGHT, Found, Right, measure


@pytest.mark.stage
def test_every_odd_file_is_right(shared: Path, tmp_path: Path) -> None:
    folder = shared / "data" / "odd_media"
    assert {path.name for path in folder.iterdir()} == {*RIGHT, PART, "README.md"}
    found = measure(folder, tmp_path, in_process=True)
    assert not [str(one) for one in found if not one.is_right]
    assert {one.name for one in found} == set(RIGHT)


@pytest.mark.parametrize(
    ("found", "right"),
    [
        (Found("a", Right("voices", 0.98), 0.99, "", said=True), True),
        (Found("a", Right("voices", 0.98), 0.97, "", said=True), False),
        (Found("a", Right("voices", 0.98, said="track 2"), 0.99, "", said=False), False),
        (Found("a", Right("voices", 0.98), None, "is silent", said=True), False),
        (Found("a", Right("voices", reason="silent"), None, "is silent", said=True), True),
        (Found("a", Right("voices", reason="silent"), None, "has no audio track", said=True), False),
        (Found("a", Right("voices", reason="silent"), 1.0, "", said=True), False),
        (Found("a", Right("voices", 0.98), float(np.nan), "", said=True), False),
    ],
)
def test_only_what_is_as_it_should_be_counts_as_right(found: Found, right: bool) -> None:
    assert found.is_right == right and str(found).startswith("right" if right else "WRONG")
