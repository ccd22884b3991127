"""What the paths of the lists and of a VoxCeleb1 folder say: who, which video, which utterance or frame.

The lists write `Name/<video>_0000001.wav` (verification) and `id10002/<video>/00001.wav` (matching). The two number
utterances alike: of 29,619 utterances that the matching and retrieval lists name, 29,615 are also in the verification
lists under the same person, video and number. So the number is taken as it stands, also for the files of VoxCeleb1
(`wav/id10002/<video>/00001.wav`). Face frames are `Name/<video>/0035550.jpg` and `Name/1.6/<video>/0035550.jpg`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

# YouTube's video ids have eleven characters and may hold "_" and "-", so their length is what ends them.
_VOICE = r"^(?:.*/)?([^/]+)/([\w-]{11})[/_]0*(\d+)\.\w+$"
_FACE = r"^(?:.*/)?(?!1\.6/)([^/]+)/(?:1\.6/)?([\w-]{11})/0*(\d+)\.\w+$"


@dataclass(frozen=True)
class Media:
    """Parsed paths (n,): entries are missing where a path is of neither style."""

    person: pd.Series  # id10002
    video: pd.Series  # id10002/<video>: the recording
    key: pd.Series  # id10002/<video>/<number>: the utterance or frame


def parse(paths: pd.Series, modality: str, codes: Mapping[str, str]) -> Media:
    """Parse voice or face paths; `codes` maps every name of a person (VGGFace1's and VoxCeleb1's) to the VoxCeleb1 ID.

    A person whom `codes` does not know counts as a path of neither style.
    """
    parts = paths.astype("str").str.extract(_VOICE if modality == "voice" else _FACE)
    person = parts[0].map(codes)
    video = person + "/" + parts[1]
    return Media(person, video, video + "/" + parts[2])
