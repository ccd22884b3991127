"""What changes from clip to clip: light, camera, pose, backdrop, clothes, and a day's difference in skin and hair."""

from dataclasses import dataclass

import numpy as np

from tools.corpus.complexion import linear
from tools.corpus.streams import stream


@dataclass(frozen=True)
class Light:
    """Directions are unit vectors towards the light, colours linear RGB (3,)."""

    key: np.ndarray
    key_colour: np.ndarray
    fill: np.ndarray
    fill_colour: np.ndarray
    sky: np.ndarray
    ground: np.ndarray
    shadow: float


@dataclass(frozen=True)
class Backdrop:
    """Two sRGB colours and the way from one to the other."""

    near: np.ndarray
    far: np.ndarray
    direction: float
    kind: int  # 0 linear, 1 radial, 2 clouded
    clouds: np.ndarray  # (6, 6)


@dataclass(frozen=True)
class Camera:
    """Rest pose in radians, field of view and offsets in dm, sensor noise in grey levels."""

    yaw: float
    pitch: float
    roll: float
    field: float
    x: float
    y: float
    exposure: float
    noise: float
    balance: np.ndarray  # (3,) white balance, a factor on each channel


@dataclass(frozen=True)
class Conditions:
    """One clip's circumstances."""

    light: Light
    backdrop: Backdrop
    camera: Camera
    cloth: np.ndarray
    collar: float
    v_neck: float
    stripes: float
    stripe_frequency: float
    lipstick: bool
    skin_tone: np.ndarray
    hair_tone: np.ndarray
    hair_length: float  # dm added
    hair_volume: float  # factor
    hairline: float  # dm added
    smile: float


def _draw_light(rng: np.random.Generator) -> Light:
    azimuth, elevation, warmth = rng.uniform(-1.1, 1.1), rng.uniform(0.1, 0.95), rng.uniform(-1, 1)
    level = np.cos(elevation)
    fill = np.array([-np.sin(azimuth) * 0.9, 0.1, 0.55])
    sky = np.array([1 - 0.04 * warmth, 1, 1 + 0.05 * warmth]) * rng.uniform(0.34, 0.6)
    return Light(
        key=np.array([np.sin(azimuth) * level, np.sin(elevation), np.cos(azimuth) * level]),
        key_colour=np.array([1 + 0.07 * warmth, 1, 1 - 0.09 * warmth]) * rng.uniform(0.85, 1.2),
        fill=fill / np.linalg.norm(fill),
        fill_colour=np.full(3, rng.uniform(0.1, 0.35)),
        sky=sky,
        ground=sky * [0.75, 0.68, 0.62],
        shadow=rng.uniform(0.45, 0.8),
    )


def _draw_backdrop(rng: np.random.Generator) -> Backdrop:
    near = rng.uniform(60, 200, 3) * 0.35 + rng.uniform(25, 215) * 0.65
    return Backdrop(
        near=near,
        far=np.clip(near + rng.uniform(-45, 45, 3), 5, 250),
        direction=rng.uniform(0, 2 * np.pi),
        kind=int(rng.integers(3)),
        clouds=rng.standard_normal((6, 6)),
    )


def _draw_camera(rng: np.random.Generator) -> Camera:
    return Camera(
        yaw=rng.uniform(-0.34, 0.34),
        pitch=rng.uniform(-0.14, 0.15),
        roll=rng.uniform(-0.06, 0.06),
        field=rng.uniform(2.95, 3.6),
        x=rng.uniform(-0.18, 0.18),
        y=rng.uniform(-0.12, 0.12),
        exposure=rng.uniform(0.7, 1.12),
        noise=rng.uniform(0.5, 2.0),
        balance=np.exp(0.035 * rng.standard_normal(3)),
    )


def draw_conditions(seed: int, person: int, clip: int) -> Conditions:
    """Conditions of a clip, independent of who the person is."""
    rng = stream(seed, "conditions", person, clip)
    tan, flush, hair = rng.standard_normal(3)
    return Conditions(
        light=_draw_light(rng),
        backdrop=_draw_backdrop(rng),
        camera=_draw_camera(rng),
        cloth=linear(rng.uniform(25, 225, 3) * 0.6 + rng.uniform(15, 225) * 0.4),
        collar=5.85 + 0.06 * rng.standard_normal(),
        v_neck=rng.random(),
        stripes=float(rng.random() < 0.25),
        stripe_frequency=rng.uniform(15, 50),
        lipstick=bool(rng.random() < 0.5),
        skin_tone=np.exp(0.10 * tan + np.array([0.03, 0, -0.03]) * flush),
        hair_tone=np.full(3, np.exp(0.35 * hair)),
        hair_length=rng.uniform(-0.5, 0.5),
        hair_volume=rng.uniform(0.7, 1.35),
        hairline=0.05 * rng.standard_normal(),
        smile=max(0.0, rng.uniform(-0.3, 0.6)),
    )
