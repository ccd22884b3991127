"""The page of errors: one file, nothing fetched, names and paths escaped, filters and players by number."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pandas as pd

from pipeline.protocol.vocabulary import MATCHING_TASKS
from pipeline.report.trial_media import Excerpts
from pipeline.report.trials import HardGallery, Sample, WrongTrial
from pipeline.report.trials_page import Errors, Rows, trials_page

HOSTILE = ('</script><script>alert("1")</script>', "\"><img src=x onerror='alert(2)'>", "a{{ 7 * 7 }}&amp;'")
FACES = pd.DataFrame({"item": [f"{name}/f.mp4" for name in HOSTILE], "frame": [0, 12, 24], "identity": HOSTILE})
VOICES = pd.DataFrame({"item": [f"{name}/v.wav" for name in HOSTILE], "frame": -1, "identity": HOSTILE})
PEOPLE = pd.DataFrame(
    {"identity": HOSTILE, "gender": ["f", None, "m"], "nationality": ["<b>", None, "x"], "age": [31.0, None, 28.5]}
)
ROWS = Rows(FACES, VOICES, PEOPLE)
WRONG = [
    WrongTrial(True, "random", Sample("voice", 0), Sample("face", 1), -0.125, -0.5, 96.04),
    WrongTrial(False, "G", Sample("voice", 2), Sample("face", 2), -1.5, -0.5, 90.0),
]
GALLERY = HardGallery(
    MATCHING_TASKS["v2f"],
    Sample("voice", 0),
    ((Sample("face", 2), -0.25), (Sample("face", 0), -1.0)),
    Sample("face", 0),
    2,
    10,
)
ERRORS = Errors("my_run", WRONG, [GALLERY])
FOUND = Excerpts(
    {(f"{name}/f.mp4", frame): b"jpeg %d" % frame for name, frame in zip(HOSTILE, (0, 12, 24), strict=True)},
    {f"{HOSTILE[0]}/v.wav": b"mp3 a", f"{HOSTILE[2]}/v.wav": "v.wav: <is> gone"},
)


class Tags(HTMLParser):
    """Start tags with their attributes, and texts outside scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] not in ("script", "style") and data.strip():
            self.texts.append(data.strip())

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


HTML = trials_page(ERRORS, ROWS, FOUND)
PAGE = Tags(HTML)


def test_hostile_names_and_paths_are_text_and_nothing_else() -> None:
    assert [set(script) for script in PAGE.named("script")] == [{"type", "id"}, set()]
    assert not [attributes for _, attributes in PAGE.tags if any(name.startswith("on") for name in attributes)]
    assert all(str(image["src"]).startswith("data:image/jpeg;base64,") for image in PAGE.named("img"))
    assert "is" not in [tag for tag, _ in PAGE.tags]
    for name in HOSTILE:
        assert PAGE.texts.count(name) >= 1  # as itself, once it is read back
    assert "Face of " + HOSTILE[1] + ", " + HOSTILE[1] + "/f.mp4, frame 12" in [
        image["alt"] for image in PAGE.named("img")
    ]
    assert "f, <b>, 31" in PAGE.texts and "m, x, 28.5" in PAGE.texts


def test_page_fetches_nothing_and_its_policy_lets_its_own_script_alone_run() -> None:
    assert "http:" not in HTML and "https:" not in HTML and "//" not in re.sub(r"//.*", "", HTML.split("<script>")[0])
    assert not PAGE.named("link") and not re.search(r"url\(|@import", HTML)
    policy = next(str(meta["content"]) for meta in PAGE.named("meta") if "http-equiv" in meta)
    assert policy.startswith("default-src 'none'; img-src data:; media-src data:;")
    (script,) = re.findall(r"<script>(.*?)</script>", HTML, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert 'name="viewport"' in HTML and "prefers-color-scheme: dark" in HTML


def test_buttons_play_the_clip_of_their_voice_and_a_missing_one_says_why() -> None:
    (clips,) = re.findall(r'<script type="application/json" id="clips">(.*?)</script>', HTML, flags=re.DOTALL)
    assert [base64.b64decode(clip) for clip in json.loads(clips)] == [b"mp3 a"]
    buttons = PAGE.named("button")
    assert [button["data-clip"] for button in buttons] == ["0", "0"]  # of the trial, and of the gallery's probe
    assert all(button["aria-label"] == f"Voice of {HOSTILE[0]}, {HOSTILE[0]}/v.wav" for button in buttons)
    assert "voice: v.wav: <is> gone" in PAGE.texts
    assert "1 of 5 media cannot be shown; each says why." in PAGE.texts


def test_cards_are_filtered_by_kind_criterion_and_person() -> None:
    cards = [(card["data-kind"], card["data-criterion"], card["data-people"]) for card in PAGE.named("article")]
    people = {name: str(number) for number, name in enumerate(sorted(HOSTILE))}
    first, second, third = (people[name] for name in HOSTILE)
    assert cards == [
        ("accepts", "random", " ".join(sorted([first, second]))),
        ("rejects", "G", third),
        ("galleries", "matching", " ".join(sorted([first, third]))),
    ]
    assert [select["id"] for select in PAGE.named("select")] == ["kind", "criterion", "person"]
    values = [option["value"] for option in PAGE.named("option")]
    assert values == ["", "accepts", "rejects", "galleries", "", "random", "G", "matching", "", "0", "1", "2"]


def test_cards_say_score_threshold_and_rank() -> None:
    assert "random: score -0.125" in PAGE.texts
    assert "accepted from -0.500 on; 96.0 % of the list's genuine pairs score lower" in PAGE.texts
    assert "accepted from -0.500 on; 90.0 % of the list's impostor pairs score higher" in PAGE.texts
    assert "the genuine candidate is number 2 of 10" in PAGE.texts
    assert "impostor, score -0.250" in PAGE.texts and "genuine, score -1.000" in PAGE.texts


def test_page_without_media_says_so_and_still_names_them() -> None:
    page = Tags(html := trials_page(ERRORS, ROWS, "There are <no> media."))
    assert "There are <no> media." in page.texts
    assert not page.named("img") and not page.named("button") and "base64," not in html.split("<script>")[0]
    assert f"{HOSTILE[1]}/f.mp4, frame 12" in page.texts


def test_run_without_errors_is_a_page_that_says_none() -> None:
    page = Tags(trials_page(Errors("perfect", [], []), ROWS, Excerpts({}, {})))
    assert page.texts.count("None.") == 3 and not page.named("article")
