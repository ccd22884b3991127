"""A person's face as geometry: the phenotype, a little chance in every local target, and what the latents ask for."""

import numpy as np

from tools.corpus.latents import Latents
from tools.corpus.mesh import local_targets
from tools.corpus.phenotype import Phenotype, target_weights
from tools.corpus.streams import stream
from tools.corpus.topology import Topology

_EYE_LEVEL, _CHIN_LEVEL, _EYE_DEPTH = 7.284, 6.25, 1.245  # dm, of the mean head
_CHIN = (0, 6.25, 1.55)
_FOLDERS = ("chin", "eyebrows", "forehead", "head", "mouth", "nose", "eyes", "cheek", "ears")
_NECK = ("measure-neck-circ-incr", "neck-scale-horiz-incr", "neck-double-incr")
# Changes that move a whole feature off the face, or that pose rather than shape.
_LEFT_OUT = ("head-trans-", "mouth-trans-out", "nose-trans-out", "head-angle-out")
_CHANCE_BY_FOLDER = {"ears": 0.6, "mouth": 0.75, "eyes": 0.75, "eyebrows": 0.6, "head": 0.8, "forehead": 0.9}
_CHANCE = 0.22  # deviation of a local target: enough to tell people apart, too little to drown the latents
_OWN_SHARE = 0.35  # how much of that chance is kept where a latent speaks
# s1: a long, projecting face against a short, flat one. s2: broad, full features against narrow, fine ones.
_S1 = {
    "nose-scale-vert-incr": 0.85,
    "nose-scale-depth-incr": 0.8,
    "nose-hump-incr": 0.6,
    "chin-height-incr": 0.8,
    "chin-prominent-incr": 0.6,
    "head-scale-vert-incr": 0.6,
    "forehead-scale-vert-incr": 0.5,
}
_S2 = {
    "mouth-scale-horiz-incr": 0.8,
    "mouth-lowerlip-volume-incr": 0.7,
    "mouth-upperlip-volume-incr": 0.7,
    "l-eye-scale-incr": 0.7,
    "l-eye-trans-out": 0.6,
    "nose-scale-horiz-incr": 0.7,
    "l-cheek-bones-incr": 0.6,
    "nose-flaring-incr": 0.5,
    "mouth-scale-vert-incr": 0.5,
}


def chance_changes(seed: int, person: int) -> dict[str, float]:
    """A person's own chance in each local change of face and neck, left side standing for both."""
    rng = stream(seed, "shape", person)
    changes = {}
    for name, (path, _) in sorted(local_targets().items()):
        folder = path.split("/")[0]
        wanted = folder in _FOLDERS or name in _NECK
        if not wanted or name.startswith(("r-", *_LEFT_OUT)):
            continue
        amount = _CHANCE * rng.standard_normal() * _CHANCE_BY_FOLDER.get(folder, 1.0)
        changes[name] = amount * (0.75 if "trans" in name else 1.0)
    return changes


def latent_changes(latents: Latents) -> dict[str, float]:
    """What size, s1, s2 and age ask of local changes, in -1..1."""
    asked = {name: gain * latents.s1 for name, gain in _S1.items()}
    asked |= {name: gain * latents.s2 for name, gain in _S2.items()}
    build = latents.size - 0.5
    asked["chin-width-incr"] = 1.4 * build * (0.8 if latents.female else 1.2)
    asked["head-fat-incr"] = 1.8 * build
    asked["l-cheek-volume-incr"] = 1.2 * build
    asked["neck-double-incr"] = 1.4 * build
    asked["head-age-incr"] = float(np.clip((latents.years - 35) / 45, 0, 1))
    return asked


def _sided(changes: dict[str, float], rng: np.random.Generator) -> dict[str, float]:
    """The right side like the left, each with a small asymmetry of its own."""
    both = {}
    for name, amount in changes.items():
        if name.startswith("l-"):
            both[name] = amount + 0.06 * rng.standard_normal()
            both["r-" + name[2:]] = amount + 0.06 * rng.standard_normal()
        else:
            both[name] = amount
    return both


def draw_phenotype(seed: int, person: int, latents: Latents) -> Phenotype:
    """Gender, age, build and ancestry as the mesh takes them."""
    rng = stream(seed, "phenotype", person)
    female, muscle, weight = rng.standard_normal(3)
    return Phenotype(
        female=float(np.clip(0.06 + 0.88 * latents.female + 0.02 * female, 0, 1)),
        years=latents.years,
        muscle=float(np.clip(0.35 + 0.35 * latents.size * (not latents.female) + 0.10 * muscle, 0.05, 0.95)),
        weight=float(np.clip(0.08 + 0.84 * latents.size + 0.04 * weight, 0, 1)),
        ancestry=latents.ancestry,
    )


def shape_head(seed: int, person: int, latents: Latents, topology: Topology) -> tuple[np.ndarray, float]:
    """Vertices of a person's head with the eyes at the mean head's place, and the scale used  # (N, 3) dm."""
    head = topology.head
    changes, asked = chance_changes(seed, person), latent_changes(latents)
    changes |= {name: _OWN_SHARE * changes[name] + amount for name, amount in asked.items()}
    vertices = head.vertices.copy()
    for name, weight in target_weights(draw_phenotype(seed, person, latents)).items():
        vertices += weight * head.targets[name]
    for name, amount in _sided(changes, stream(seed, "asymmetry", person)).items():
        amount = float(np.clip(amount, -1, 1))
        vertices += abs(amount) * head.targets[name + ("+" if amount >= 0 else "-")]
    eyes = np.mean([vertices[np.unique(head.quads[f"helper-{side}-eye"])].mean(axis=0) for side in "lr"], axis=0)
    chin = vertices[np.abs(head.vertices - _CHIN).sum(axis=1).argmin()]
    scale = ((_EYE_LEVEL - _CHIN_LEVEL) / max(0.3, eyes[1] - chin[1])) ** 0.85
    return (vertices - eyes) * scale + [0, _EYE_LEVEL, _EYE_DEPTH], float(scale)
