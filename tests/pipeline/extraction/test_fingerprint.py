"""Source counts by what Python does with it: every edit but one of comments, docstrings and blank lines."""

from pathlib import Path

import pytest

from pipeline.extraction.fingerprint import code_digest

PLAIN = '''
"""What it is."""

import zoo.scale
from zoo.deep import more


def sound(x):  # (T,)
    """Twice as loud."""
    # a line of its own
    text = """
# in a string
  """
    return f"{x * 2}" + text  # why
'''
SAME = [
    ("What it is", "What else it is:\n\nin three lines"),
    ("Twice as loud.", "Lauter, zweimal: Größe"),
    ("# a line of its own", "# reworded"),
    ("    # a line of its own\n", ""),
    ("  # why", ""),
    ("  # (T,)", "  # waveform (T,)"),
    ("\n\n\ndef", "\n\ndef"),
]
OTHER = [
    ("* 2", "* 3"),
    ("# in a string", "# in the string"),
    ('\n  """', '\n """'),
    ("string\n", "string\n\n"),
    ("text", "t"),
]


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    """A package of an extractor `lion.py` and what it imports, near and far."""
    folder = tmp_path / "zoo"
    (folder / "deep").mkdir(parents=True)
    (folder / "lion.py").write_text(PLAIN)
    (folder / "scale.py").write_text("ONE = 1\n")
    (folder / "deep" / "more.py").write_text("def f():\n    from ..far import x\n    return x\n")
    (folder / "far.py").write_text("x = 1\n")
    (folder / "other.py").write_text("y = 1\n")
    return folder


def digest(zoo: Path) -> str:
    return code_digest([zoo / "lion.py"], zoo)


@pytest.mark.parametrize(("old", "new"), SAME, ids=str)
def test_comments_docstrings_and_blank_lines_cost_nothing(zoo: Path, old: str, new: str) -> None:
    before = digest(zoo)
    assert old in PLAIN
    (zoo / "lion.py").write_text(PLAIN.replace(old, new))
    assert digest(zoo) == before


@pytest.mark.parametrize(("old", "new"), OTHER, ids=str)
def test_every_other_edit_counts(zoo: Path, old: str, new: str) -> None:
    before = digest(zoo)
    assert old in PLAIN
    (zoo / "lion.py").write_text(PLAIN.replace(old, new))
    assert digest(zoo) != before


@pytest.mark.parametrize("helper", ["scale.py", "deep/more.py", "far.py"])
def test_what_it_imports_below_the_package_counts_however_deep(zoo: Path, helper: str) -> None:
    before = digest(zoo)
    (zoo / helper).write_text((zoo / helper).read_text().replace("x", "z").replace("1", "2"))
    assert digest(zoo) != before


def test_what_it_does_not_import_and_what_is_exempt_cost_nothing(zoo: Path) -> None:
    before = digest(zoo), code_digest([zoo / "lion.py"], zoo, [zoo / "scale.py"])
    (zoo / "other.py").write_text("y = 2\n")
    assert digest(zoo) == before[0]
    (zoo / "scale.py").write_text("ONE = 2\n")
    assert code_digest([zoo / "lion.py"], zoo, [zoo / "scale.py"]) == before[1]


def test_digest_is_the_same_on_every_python_and_in_every_folder(zoo: Path) -> None:
    assert digest(zoo)[:12] == "b4715180dbd2"
