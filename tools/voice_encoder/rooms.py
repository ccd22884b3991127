"""Room responses to send speech through: shoebox rooms by image sources, computed once and kept in a file.

    python -m tools.voice_encoder.rooms <rooms.safetensors>

Needs pyroomacoustics (Scheibler et al. 2018, arXiv 1710.04196), which only the recipe's environment has.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy.signal import fftconvolve
from tqdm import tqdm

from extractors.voices.utterance_aggregator import SAMPLE_RATE
from pipeline.errors import StoreError
from pipeline.files import atomic_path
from tools.voice_encoder.command import options, run_command
from tools.voice_encoder.recipe import RoomSettings, load_recipe
from tools.voice_encoder.teachers import package

log = logging.getLogger(__name__)
Response = NDArray[np.float32]
_SPEED_OF_SOUND = 343.0  # m/s
_FILTER_DELAY = 40  # samples: half of the simulation's fractional-delay filter
_BEFORE = 16  # samples kept before the direct sound
_WALL = 0.3  # m, nearest that mouth and microphone come to a wall


@dataclass(frozen=True)
class Rooms:
    """Responses (S_i,) of unit energy, the direct sound at their start."""

    responses: tuple[Response, ...]

    def reverberated(self, speech: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """(S,) as it sounds in one of the rooms, in step with the original."""
        response = self.responses[int(rng.integers(len(self.responses)))]
        heard: NDArray[np.float32] = fftconvolve(speech, response)[: len(speech)].astype(np.float32)
        return heard


def simulate(settings: RoomSettings, rng: np.random.Generator) -> Response:
    """The response between two random places of a random room with a random reverberation time."""
    acoustics = package("pyroomacoustics")
    while True:
        size = rng.uniform(settings.smallest, settings.largest)
        reverberation = rng.uniform(*settings.reverberation)
        try:
            absorption, order = acoustics.inverse_sabine(reverberation, size)
            break
        except ValueError:  # walls that swallow everything still leave a large room more than so short a time
            continue
    room = acoustics.ShoeBox(
        size,
        fs=SAMPLE_RATE,
        materials=acoustics.Material(absorption),
        max_order=min(order, settings.images),
        use_rand_ism=False,
        air_absorption=True,
    )
    mouth, microphone = rng.uniform(_WALL, size - _WALL), rng.uniform(_WALL, size - _WALL)
    room.add_source(mouth)
    room.add_microphone(microphone)
    room.compute_rir()
    direct = round(float(np.linalg.norm(mouth - microphone)) / _SPEED_OF_SOUND * SAMPLE_RATE) + _FILTER_DELAY
    start, longest = max(0, direct - _BEFORE), round(settings.longest * SAMPLE_RATE)
    response = np.asarray(room.rir[0][0], np.float32)[start : start + longest]
    return response / np.linalg.norm(response)


def load_rooms(path: Path) -> Rooms:
    """Read the responses; raises StoreError for a file that this module did not write."""
    try:
        arrays = load_file(path)
        samples, ends = arrays["responses"], arrays["ends"]
    except (OSError, SafetensorError, KeyError) as error:
        raise StoreError(f"{path} holds no rooms ({error}): make it with tools.voice_encoder.rooms") from error
    return Rooms(tuple(np.split(samples, ends[:-1])))


def save_rooms(path: Path, responses: list[Response]) -> None:
    """Write responses (sum S,) float32 and where each ends."""
    ends = np.cumsum([len(response) for response in responses])
    with atomic_path(path) as temporary:
        save_file({"responses": np.concatenate(responses), "ends": ends}, temporary)


def main() -> None:
    """Simulate the recipe's rooms."""
    arguments = options(__doc__)
    arguments.add_argument("rooms", type=Path, help="the file to write")
    given = arguments.parse_args()
    recipe = load_recipe()
    rng = np.random.default_rng([recipe.seed, recipe.rooms.count])
    responses = [simulate(recipe.rooms, rng) for _ in tqdm(range(recipe.rooms.count), unit="room")]
    save_rooms(given.rooms, responses)
    log.info("%d rooms", len(responses))


if __name__ == "__main__":
    run_command(main)
