"""The table of a challenge: which runs are one system, and what is a mean of what."""

from collections.abc import Mapping

import pytest

from pipeline.report.challenge import PUBLISHED, challenge_table
from pipeline.report.runs import Run
from pipeline.report.tables import to_csv
from pipeline.settings import RunSettings
from tests.pipeline.settings_for_training import train_settings


def run(name: str, settings: RunSettings, **rates: float) -> Run:
    """A run with an EER a language, of any impostor, on own test people."""
    cells = {language: {"eer": rate} for language, rate in rates.items()}
    return Run(name, settings, settings, {"challenge": {"test": {"no_gender": cells}}}, None, None)


def means(*runs: Run, version: str = "v1") -> dict[str, float]:
    """Means over all cells by system."""
    rows = challenge_table(runs, version).rows
    return {
        str(row[0]): float(str(row[-1]))
        for row in rows
        if str(row[3]).startswith("mean of") and row[2] != "released list"
    }


def fused(**members: Mapping[str, object]) -> RunSettings:
    """Settings of a fusion of runs in one language."""
    first = train_settings(**next(iter(members.values())))
    settings = {name: train_settings(**changes).model_dump() for name, changes in members.items()}
    return first.model_copy(update={"method": "fusion", "loss": "fusion", "fusion": settings})


def test_runs_that_differ_in_the_language_heard_are_one_system_and_one_of_all_languages_is_none_of_it() -> None:
    english, urdu, every = (train_settings(language=name) for name in ("English", "Urdu", "all"))
    assert means(
        run("en", english, English=10.0, Urdu=30.0),
        run("ur", urdu, English=40.0, Urdu=20.0),
        run("every", every, English=1.0, Urdu=2.0),
    ) == {"en + ur": 25.0, "every": 1.5}


def test_runs_and_systems_chosen_on_own_test_people_are_marked() -> None:
    english = train_settings(language="English").model_copy(update={"selection": "test"})
    urdu = train_settings(language="Urdu")
    table = challenge_table([run("en", english, English=10.0), run("ur", urdu, Urdu=60.0)], "v1")
    assert (table.marks["en"], table.marks["ur"]) == (" †", "")
    assert table.chosen_on["en"] == "test" and to_csv(table).splitlines()[0].endswith("chosen_on")


def test_a_language_that_two_alike_runs_heard_does_not_count_twice() -> None:
    english, urdu = train_settings(language="English"), train_settings(language="Urdu")
    found = means(run("en", english, English=10.0), run("again", english, English=20.0), run("ur", urdu, Urdu=60.0))
    assert found == {"en": 10.0, "again": 20.0, "ur": 60.0}


def test_checkpoints_of_both_languages_and_fusions_of_like_runs_are_systems_too() -> None:
    theirs = [
        train_settings(language=name).model_copy(update={"checkpoint": f"{name}.pth.tar"})
        for name in ("English", "Urdu")
    ]
    both = [
        fused(**{f"fop_{name}": {"language": name}, f"ce_{name}": {"language": name, "loss": "ce"}})
        for name in ("English", "Urdu")
    ]
    other = fused(fop={"language": "Urdu"}, git={"language": "Urdu", "loss": "git"})
    assert means(
        run("their_en", theirs[0], English=10.0),
        run("their_ur", theirs[1], Urdu=20.0),
        run("fused_en", both[0], English=30.0),
        run("fused_ur", both[1], Urdu=40.0),
        run("other", other, Urdu=50.0),
    ) == {"their_en + their_ur": 15.0, "fused_en + fused_ur": 35.0, "other": 50.0}


@pytest.mark.parametrize("version", list(PUBLISHED))
def test_published_rows_have_the_mean_of_their_own_cells_and_the_published_one_a_row_of_its_own(version: str) -> None:
    language = train_settings(language="English")
    rows = [
        row for row in challenge_table([run("en", language, English=10.0)], version).rows if row[2] == "released list"
    ]
    whole: dict[str, list[float]] = {}
    for name, _, _, words, *cells, mean in rows:
        known = [cell for cell in cells if isinstance(cell, float)]
        assert isinstance(mean, float)
        if words != "mean of all cells":
            assert mean == pytest.approx(sum(known) / len(known))
            whole.setdefault(str(name), []).extend(known)
        elif str(name) in whole:  # its cells come before
            assert mean == pytest.approx(sum(whole[str(name)]) / len(whole[str(name)]), abs=0.06)
