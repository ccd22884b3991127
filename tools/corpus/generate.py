"""Make a corpus: `python -m tools.corpus.generate --out FOLDER` (settings.toml names its numbers; --help lists them).

Resumable: a clip that is there is kept, an unfinished one never has its name. Parallel by process.
"""

import logging
import os
import threading
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from multiprocessing import get_context, parent_process
from pathlib import Path

import cv2
from tqdm import tqdm

from tools.corpus.acts import perform
from tools.corpus.claim import claim
from tools.corpus.encode import encode
from tools.corpus.person import make_person
from tools.corpus.pose import REST, face_box, pose, project
from tools.corpus.render import Scene, Studio, render, set_scene
from tools.corpus.settings import Settings, read_arguments
from tools.corpus.speech import speak
from tools.corpus.streams import stream
from tools.corpus.tables import identity_name, write_rows, write_tables
from tools.corpus.textures import load_textures
from tools.corpus.topology import build_topology
from tools.corpus.voices import draw_voice

log = logging.getLogger("tools.corpus.generate")

# What a worker inherits: processes are the parallel unit, so that no library may start threads of its own.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}


@cache
def open_studio(side: int) -> Studio:
    """Everything rendering needs, loaded once a process."""
    cv2.setNumThreads(1)
    textures = load_textures()
    return Studio(build_topology(textures), textures, side)


def clip_path(out: Path, person: int, clip: int) -> Path:
    """Where a clip lies."""
    return out / identity_name(person) / f"{clip}.mp4"


def make_clip(settings: Settings, scene: Scene, clip: int, path: Path) -> None:
    """Speak, act, render and encode one clip."""
    person, studio = scene.person, open_studio(settings.side)
    seed, number = settings.seed, person.number
    waveform = speak(seed, number, clip, draw_voice(seed, number, person.latents, settings.association))
    acts = perform(waveform, settings.rate, scene.conditions.smile, stream(seed, "acts", number, clip))
    grain = stream(seed, "grain", number, clip)
    frames = (render(scene, act, studio, grain) for act in acts)
    encode(path, frames, waveform, side=settings.side, rate=settings.rate, quality=settings.quality, bits=settings.bits)


def make_clips_of(settings: Settings, number: int, out: Path) -> list[tuple[str, int, int, int, int, int]]:
    """Make what is missing of a person's clips; gives a row (identity, clip, box of the face at rest) a clip."""
    studio = open_studio(settings.side)
    person = make_person(settings.seed, number, studio.topology)
    rows = []
    for clip in range(settings.clips):
        scene = set_scene(person, clip, studio)
        path = clip_path(out, number, clip)
        if not path.exists():
            make_clip(settings, scene, clip, path)
        camera = scene.conditions.camera
        placed, _ = pose(person, REST, camera, studio.topology, scene.lift)
        box = face_box(project(placed, camera, settings.side), studio.topology)
        rows.append((person.name, clip, *box))
    return rows


def _clear_unfinished(out: Path) -> None:
    """Remove what a killed run left half written."""
    for stray in out.glob("*/.*.mp4"):
        stray.unlink()


def _leave_with_parent() -> None:
    """Make a worker end when the main process does, however that ended: a killed run leaves no orphans."""
    parent = parent_process()

    def wait_for_parent() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait_for_parent, daemon=True).start()


def generate(settings: Settings, out: Path) -> None:
    """Make a whole corpus in a folder, keeping the clips that are there."""
    claim(out, settings)
    write_tables(out, settings)
    _clear_unfinished(out)
    os.environ.update(_ONE_THREAD)
    boxes = []
    people = range(1, settings.people + 1)
    with ProcessPoolExecutor(settings.workers, get_context("spawn"), _leave_with_parent) as workers:
        waiting = [workers.submit(make_clips_of, settings, number, out) for number in people]
        try:
            for done in tqdm(as_completed(waiting), total=len(waiting), unit="person", desc="corpus"):
                boxes += done.result()
        except BaseException:
            workers.shutdown(cancel_futures=True)  # one failed: do not make the rest first
            raise
    header = ("identity", "clip", "left", "top", "right", "bottom")
    write_rows(out / "truth" / "boxes.csv", header, sorted(boxes))
    log.info("%d clips of %d people are in %s", settings.people * settings.clips, settings.people, out)


def main() -> None:
    """The command line."""
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    generate(*read_arguments())


if __name__ == "__main__":
    main()
