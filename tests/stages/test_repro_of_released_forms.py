"""`dvc repro` on what VoxCeleb1's users have: its folders with the released lists, and the authors' feature files."""

import json
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from pipeline.media import decode_audio, sample_frames
from tests.faults.repository import RUN, Repository, copy_pipeline
from tests.media_factory import write_sound
from tests.pipeline.protocol.sources.feature_files import write_features
from tests.pipeline.protocol.sources.release import PEOPLE, SPLIT, video, write_release
from tests.stages.project import DEMO

pytestmark = [pytest.mark.stage, pytest.mark.slow]

STAGES = ["import_features", "manifest", "detect_faces", "embed_faces", "embed_voices", "protocol"]
STAGES += ["settings", f"train@{RUN}", f"evaluate@{RUN}", "report", "trials"]
CLIPS = 3  # videos of a person, as in write_release
TESTED = next(code for code in PEOPLE if SPLIT[code] == "4")
NO_VOICE = f"wav/{TESTED}/{video(TESTED, 0)}/00001.wav"  # a test person's, in every unseen-unheard list
NO_FACE = f"unzippedFaces/{PEOPLE['id10001']}/1.6/{video('id10001', 2)}/0000025.jpg"  # in every seen-heard list
HELD_OUT = {f"{code}/{video(code, 2)}" for code in PEOPLE if SPLIT[code] == "1"}  # recordings of the seen-heard lists


def write_voxceleb(media: Path) -> None:
    """The people of the small release, seen and heard in clips of the shipped corpus; two media are missing."""
    actors = sorted(path for path in DEMO.glob("id*") if (path / f"{CLIPS - 1}.mp4").exists())
    for (code, name), actor in zip(PEOPLE.items(), actors, strict=False):
        for number in range(CLIPS):
            source, clip = actor / f"{number}.mp4", video(code, number)
            write_sound(media / "wav" / code / clip / "00001.wav", decode_audio(source, 16_000))
            for frame, sampled in zip((25, 50), sample_frames(source, 1.0, 2), strict=False):
                target = media / "unzippedFaces" / name / "1.6" / clip / f"{frame:07d}.jpg"
                target.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(sampled.image).save(target, quality=95)
    for missing in (NO_VOICE, NO_FACE):
        (media / missing).unlink()


@pytest.fixture(scope="module")
def voxceleb(tmp_path_factory: pytest.TempPathFactory) -> tuple[Repository, list[str]]:
    """The repository after `dvc repro`, and the stages that ran."""
    repository = copy_pipeline(tmp_path_factory.mktemp("voxceleb") / "sbnet")
    write_voxceleb(repository.folder / "media")
    write_release(repository.folder / "lists")
    repository.params(
        manifest={"layout": "voxceleb1", "table": "lists/vox1_meta.csv"},
        protocol={"source": "voxceleb_lists", "lists": "lists", "criteria": ["random", "G", "N"]},
        evaluate={"bootstrap": 40},
    )
    return repository, repository.dvc("repro").ran


def metrics_of(repository: Repository) -> dict:
    return json.loads(repository.output(f"runs/{RUN}/metrics.json"))


def test_voxceleb_folders_and_released_lists_go_from_media_to_the_report(
    voxceleb: tuple[Repository, list[str]],
) -> None:
    repository, ran = voxceleb
    assert sorted(ran) == sorted(STAGES)
    metrics = metrics_of(repository)
    for group in (metrics["verification"], metrics["seen_heard"]["verification"]):
        assert set(group["cross_modal"]) == {"random", "G", "N"}
        assert all(
            0.0 <= group["cross_modal"][name][rate] <= 100.0 for name in ("random", "G") for rate in ("eer", "auc")
        )
    assert set(metrics["matching_released"]["v2f"]) == {"U", "G", "N", "GN"}
    page = repository.output("report/report.html").decode()
    assert "voxceleb_lists, seed 0" in page and "1 of 1 evaluated" in page


def test_trials_of_missing_media_are_left_out_and_counted(voxceleb: tuple[Repository, list[str]]) -> None:
    folder = voxceleb[0].folder / "artifacts"
    coverage = pd.read_csv(folder / "protocol/coverage.csv").set_index("list")
    for regime, rows, lost in (("unseen_unheard", 8, 2), ("seen_heard", 12, 2)):
        line = coverage.loc[f"verification/test/{regime}/cross_modal/G"]
        assert (line["rows"], line["used"], line["missing_items"]) == (rows, rows - lost, 1)
    shown = pd.read_csv(folder / "report/tables/coverage.csv").set_index("list")
    assert (shown["missing_items"] == coverage["missing_items"]).all()
    assert metrics_of(voxceleb[0])["verification"]["cross_modal"]["G"]["trials"] == 6


def test_impostors_of_the_wrong_gender_are_counted_by_the_released_metadata(
    voxceleb: tuple[Repository, list[str]],
) -> None:
    coverage = pd.read_csv(voxceleb[0].folder / "artifacts/protocol/coverage.csv").set_index("list")["mismatched"]
    used = {"random": None, "G": 3, "N": 0}  # of four impostors one is left out; neighbours differ in gender
    for criterion, count in used.items():
        found = coverage[f"verification/test/unseen_unheard/cross_modal/{criterion}"]
        assert pd.isna(found) if count is None else found == count


def test_recordings_of_the_seen_heard_lists_train_nothing(voxceleb: tuple[Repository, list[str]]) -> None:
    folder = voxceleb[0].folder / "artifacts"
    pairs = pd.read_parquet(folder / "protocol/train_pairs.parquet")
    for modality, column in (("faces", "face_row"), ("voices", "voice_row")):
        clips = set(pd.read_parquet(folder / modality / "index.parquet")["clip"].iloc[pairs[column]])
        assert clips and not clips & HELD_OUT


def test_code_that_reads_lists_or_feature_files_runs_no_extraction_and_no_training_again(
    voxceleb: tuple[Repository, list[str]],
) -> None:
    repository = voxceleb[0]
    for name in ("feature_files", "voxceleb_lists", "voxceleb_release"):
        with (repository.folder / f"pipeline/protocol/sources/{name}.py").open("a") as code:
            code.write("# another comment\n")
    assert sorted(repository.dvc("repro").ran) == ["import_features", "protocol", "settings"]  # which looks at all code
    assert not repository.dvc("repro").ran


def test_feature_files_go_through_without_any_medium_in_the_project(tmp_path: Path) -> None:
    repository = copy_pipeline(tmp_path / "sbnet")
    write_features(repository.folder / "data/features")
    repository.params(
        features={"source": "csv"},
        manifest={"media": "data/features", "identities": "data/no_identities.csv"},  # as params.yaml says
    )
    assert not (repository.folder / "data/demo").exists() and not (repository.folder / "media").exists()
    assert sorted(repository.dvc("repro").ran) == sorted(STAGES)
    assert set(metrics_of(repository)["verification"]["cross_modal"]) == {"random", "N"}
    assert "only if these are the authors" in repository.output("report/report.html").decode()
    assert not repository.dvc("repro").ran
