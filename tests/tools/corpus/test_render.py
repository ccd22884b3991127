"""Pictures: a face on a backdrop, the same twice, changed by what should change it."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("numba", reason="rendering needs tools/corpus/requirements.txt")

from tools.corpus.mesh import head_cache
from tools.corpus.person import Person, make_person
from tools.corpus.pose import REST, Act
from tools.corpus.render import Scene, Studio, draw_backdrop, render, set_scene
from tools.corpus.streams import stream
from tools.corpus.textures import load_textures
from tools.corpus.topology import build_topology

SIDE = 64


@pytest.fixture(scope="module")
def studio() -> Studio:
    if not head_cache().exists():
        pytest.skip("the base mesh is not here: run `python -m tools.corpus.fetch`")
    textures = load_textures()
    return Studio(build_topology(textures), textures, SIDE)


@pytest.fixture(scope="module")
def person(studio: Studio) -> Person:
    return make_person(2, 4, studio.topology)


@pytest.fixture(scope="module")
def scene(person: Person, studio: Studio) -> Scene:
    return set_scene(person, 0, studio)


def _shown(scene: Scene, studio: Studio, act: Act = REST) -> np.ndarray:
    return render(scene, act, studio, stream(0, "test grain")).astype(int)


def test_the_same_scene_gives_the_same_picture(scene: Scene, studio: Studio) -> None:
    picture = _shown(scene, studio)
    assert picture.shape == (SIDE, SIDE, 3)
    np.testing.assert_array_equal(picture, _shown(scene, studio))


def test_the_face_covers_the_middle_and_the_backdrop_the_corners(scene: Scene, studio: Studio) -> None:
    dark = np.zeros(3)
    backdrop = replace(scene.conditions.backdrop, near=dark, far=dark)
    black = replace(scene, backdrop=draw_backdrop(backdrop, len(scene.backdrop)))
    changed = np.abs(_shown(black, studio) - _shown(scene, studio)).max(axis=2)
    assert changed[:4, :4].min() > 5
    assert changed[28:36, 28:36].max() == 0


def test_an_open_jaw_changes_the_mouth_and_not_the_forehead(scene: Scene, studio: Studio) -> None:
    spoken = np.abs(_shown(scene, studio, Act({"jawOpen": 0.4}, 0, 0, 0)) - _shown(scene, studio)).max(axis=2)
    rows = np.flatnonzero(spoken.max(axis=1) > 20)
    assert rows.min() > SIDE * 0.4


def test_less_light_is_a_darker_face(scene: Scene, studio: Studio) -> None:
    camera = replace(scene.conditions.camera, exposure=0.3 * scene.conditions.camera.exposure)
    dim = replace(scene, conditions=replace(scene.conditions, camera=camera))
    assert _shown(dim, studio).mean() < 0.75 * _shown(scene, studio).mean()


def test_two_clips_of_one_person_differ(person: Person, scene: Scene, studio: Studio) -> None:
    other = set_scene(person, 1, studio)
    assert np.abs(_shown(other, studio) - _shown(scene, studio)).mean() > 5
