"""A throwaway project with clips, and whole commands timed in it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import av
import cv2
import numpy as np
import soundfile

from pipeline.config import load_params
from pipeline.media import decode_audio, sample_frames
from pipeline.settings import DetectFacesSettings
from tests.stages.project import ROOT, Project, make_project

_RATE = 16000  # Hz
_FILM = 640, 480  # px


def clips_of(folder: Path, count: int) -> dict[str, Path]:
    """Name below the media folder -> clip: of `count` clips, as many people as possible."""
    found = [path for path in folder.rglob("*.*") if path.suffix in (".mp4", ".mpg")]
    clips = sorted(found, key=lambda path: (path.stem, path.parent.name))[:count]
    return {f"{path.parent.name}/{path.name}": path for path in sorted(clips)}


def films_of(folder: Path, clips: Mapping[str, Path]) -> dict[str, Path]:
    """The clips' pictures as films of 640 x 480 px: as large as fits, mirrored at the sides."""
    made = {}
    for name, clip in clips.items():
        path = folder / Path(name).with_suffix(".mp4")
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(clip) as source, av.open(path, "w") as target:
            rate = source.streams.video[0].average_rate
            stream = target.add_stream("libx264", rate=rate, options={"crf": "20"})
            stream.width, stream.height, stream.pix_fmt = *_FILM, "yuv420p"
            for frame in source.decode(video=0):
                picture = av.VideoFrame.from_ndarray(_filling(frame.to_ndarray(format="rgb24")), "rgb24")
                target.mux(stream.encode(picture))
            target.mux(stream.encode())
        made[str(Path(name).with_suffix(".mp4"))] = path
    return made


def _filling(picture: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 scaled into 640 x 480 px, its outer columns or rows mirrored to fill what is left."""
    width, height = _FILM
    factor = min(width / picture.shape[1], height / picture.shape[0])
    scaled = cv2.resize(picture, (round(picture.shape[1] * factor), round(picture.shape[0] * factor)))
    lower, left = height - scaled.shape[0], width - scaled.shape[1]
    return np.pad(scaled, ((lower // 2, -(-lower // 2)), (left // 2, -(-left // 2)), (0, 0)), mode="symmetric")


def utterances_of(folder: Path, clips: Mapping[str, Path]) -> dict[str, Path]:
    """The clips' sound as 16 kHz wav files, as VoxCeleb comes: the official code reads no video."""
    made = {}
    for name, clip in clips.items():
        path = folder / Path(name).with_suffix(".wav")
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, decode_audio(clip, _RATE), _RATE, subtype="PCM_16")
        made[str(Path(name).with_suffix(".wav"))] = path
    return made


def project_of(folder: Path, media: Mapping[str, Path], **sections: Mapping[str, object]) -> Project:
    """A project with these media and its manifest, ready for the extraction stages."""
    folder.mkdir(parents=True)
    project = make_project(folder, media, **sections)
    timed(project, ["-m", "stages.manifest"], workers=0)
    return project


def detection_settings(project: Project) -> DetectFacesSettings:
    """How frames are sampled in the project."""
    return load_params(project.folder / "params.yaml").detect_faces


def write_frames(project: Project, items: Sequence[str]) -> Path:
    """The frames that detection samples, by clip, for the plain loop: both sides look at the same pictures."""
    settings = detection_settings(project)
    frames = {
        str(project.media / item): [
            frame.frame for frame in sample_frames(project.media / item, settings.frame_rate, settings.max_frames)
        ]
        for item in items
    }
    path = project.folder / "frames.json"
    path.write_text(json.dumps(frames))
    return path


def forget_items(project: Project) -> None:
    """Empty item cache and no stores, so that the next extraction starts from nothing."""
    for path in [*project.home.glob("items.sqlite*"), *project.folder.glob("artifacts/*/*")]:
        path.unlink()


def timed(project: Project, command: Sequence[str], workers: int) -> np.ndarray:
    """Wall clock and CPU time (2,) of a whole Python command in the project, with its workers, s."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SBNET_HOME": str(project.home)}
    environment["SBNET_WORKERS"] = str(workers)
    start, before = time.monotonic(), os.times()
    subprocess.run(
        [sys.executable, *command], cwd=project.folder, env=environment, check=True, stderr=subprocess.DEVNULL
    )
    wall, after = time.monotonic() - start, os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return np.array([wall, used])
