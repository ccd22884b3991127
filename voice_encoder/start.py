"""Set the student before the first step: a backbone by hand, the layers after it in closed form, codes to aim at.

    python -m voice_encoder.start <voices.safetensors> <start.safetensors>

Keeps the backbone's maps beside the result (<start>.maps.safetensors), from which a second run goes on.
"""

import logging
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from extractors.aggregator_network import UtteranceAggregator, load_state, untrained
from pipeline.files import atomic_path
from voice_encoder.closed_form import descriptors, fit_embedding, fit_frames
from voice_encoder.crops import Voices, load_voices, spectrograms
from voice_encoder.losses import codes
from voice_encoder.passing import set_passing
from voice_encoder.recipe import Recipe, load_recipe

_BATCH = 12  # crops
log = logging.getLogger(__name__)


def crops_of_each(voices: Voices, recipe: Recipe) -> list[int]:
    """The voice of every crop, shuffled: recordings at their own speed more often than their copies."""
    own = set(voices.own_speed.tolist())
    drawn = [voice for voice in range(len(voices)) for _ in range(recipe.start.crops if voice in own else 1)]
    return [int(voice) for voice in np.random.default_rng(recipe.seed).permutation(drawn)]


@torch.inference_mode()
def backbone_maps(network: UtteranceAggregator, voices: Voices, drawn: list[int], recipe: Recipe) -> Tensor:
    """(N, 512, 7, T) maps of a crop of each drawn voice, half precision."""
    random = np.random.default_rng([recipe.seed, 1])
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    maps = []
    for start in tqdm(range(0, len(drawn), _BATCH), unit="batch"):
        inputs = spectrograms(voices, drawn[start : start + _BATCH], recipe.crops, recipe.start.seconds, random)
        with torch.autocast("cpu", torch.bfloat16):
            batch = network.backbone(inputs.to(memory_format=torch.channels_last))
        maps.append(batch.half().contiguous())
    return torch.cat(maps)


def first_pass(voices: Voices, recipe: Recipe, kept: Path) -> dict[str, Tensor]:
    """The backbone set by hand, and its maps; kept in a file."""
    random = np.random.default_rng(recipe.seed)
    network = untrained(recipe.seed)
    usual = random.choice(len(voices), recipe.start.usual, replace=False).tolist()
    set_passing(network.backbone, spectrograms(voices, usual, recipe.crops, 1.0, random), random)
    tensors = {f"backbone.{name}": value.clone() for name, value in network.backbone.state_dict().items()}
    maps: list[Tensor] = []
    drawn: list[int] = []
    for turn in range(recipe.start.rounds):
        other = recipe.model_copy(update={"seed": recipe.seed + turn})
        turn_drawn = crops_of_each(voices, other)
        maps.append(backbone_maps(network, voices, turn_drawn, other))
        drawn += turn_drawn
    tensors |= {"maps": torch.cat(maps), "voice": torch.tensor(drawn)}
    with atomic_path(kept) as temporary:
        save_file({name: value.contiguous() for name, value in tensors.items()}, temporary)
    return tensors


def fit(voices: Voices, maps: dict[str, Tensor], recipe: Recipe) -> dict[str, Tensor]:
    """The whole network's state, and the codes it is to aim at."""
    fresh = untrained(recipe.seed).state_dict()
    network = load_state(fresh | {name: value for name, value in maps.items() if name in fresh}, "start")
    fit_frames(network, maps["maps"], recipe.start, recipe.seed)
    rows = descriptors(network, maps["maps"])
    fit_embedding(network, rows, maps["voice"], voices.vectors[maps["voice"]], recipe.start, recipe.seed)
    with torch.no_grad():
        embeddings = torch.nn.functional.normalize(network.embedding(rows).relu(), dim=1)
    aims = codes(voices.vectors, embeddings, maps["voice"], recipe.loss.ridge, recipe.start.lift)
    log.info("cosine of embeddings and codes: %.3f", (embeddings * aims[maps["voice"]]).sum(dim=1).mean())
    return network.state_dict() | {"codes": aims}


def main(voices_file: Path, target: Path) -> None:
    """Write the start."""
    torch.set_num_threads(1)
    recipe, voices = load_recipe(), load_voices(voices_file)
    torch.manual_seed(recipe.seed)  # of the silent kernels, which no vector depends on
    kept = target.with_suffix(".maps.safetensors")
    maps = load_file(kept) if kept.exists() else first_pass(voices, recipe, kept)
    with atomic_path(target) as temporary:
        save_file({name: value.contiguous() for name, value in fit(voices, maps, recipe).items()}, temporary)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main(*map(Path, sys.argv[1:]))
