"""The numbers of one corpus: settings.toml, changed by the command line."""

import argparse
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from tools.corpus.association import Association
from tools.corpus.errors import SettingsError

ROOM = Path(__file__).resolve().parent
_HELP = {
    "seed": "of every random draw",
    "people": "how many, numbered from 1; odd numbers are women",
    "clips": "per person",
    "workers": "processes, one thread each",
    "side": "of the square picture, px, even",
    "rate": "frames a second",
    "quality": "x264 constant rate factor, smaller is better",
    "bits": "per second of sound",
}


@dataclass(frozen=True)
class Settings:
    """See settings.toml."""

    seed: int
    people: int
    clips: int
    workers: int
    side: int
    rate: int
    quality: int
    bits: int
    association: Association

    def __post_init__(self) -> None:
        for name in _HELP:
            least = 0 if name == "seed" else 1
            if getattr(self, name) < least:
                raise SettingsError(f"{name} = {getattr(self, name)} is below {least}")
        if self.side % 2:
            raise SettingsError(f"side = {self.side} is odd, which H.264 cannot hold: choose an even number of px")


def shipped_settings() -> Settings:
    """The settings of the corpus that ships."""
    with (ROOM / "settings.toml").open("rb") as text:
        table = tomllib.load(text)
    unknown = set(table) ^ {field.name for field in fields(Settings)}
    if unknown:
        raise SettingsError(f"settings.toml: unknown or absent {', '.join(sorted(unknown))}")
    return Settings(**{**table, "association": Association(**table["association"])})


def read_arguments(arguments: Sequence[str] | None = None) -> tuple[Settings, Path]:
    """Settings and the folder to write, from a command line."""
    shipped = shipped_settings()
    parser = argparse.ArgumentParser(
        prog="python -m tools.corpus.generate", description="Make synthetic people who talk."
    )
    where = "folder to write (data/demo); what is complete in it is kept"
    parser.add_argument("--out", type=Path, default=ROOM.parents[1] / "data" / "demo", help=where)
    for name, text in _HELP.items():
        value = getattr(shipped, name)
        parser.add_argument(f"--{name}", type=int, default=value, help=f"{text} (settings.toml: {value})")
    help_text = "factor 0..1 on the four strengths of settings.toml"
    parser.add_argument("--association", type=float, default=1.0, help=help_text)
    chosen = vars(parser.parse_args(arguments))
    out, factor = chosen.pop("out"), chosen.pop("association")
    return Settings(**chosen, association=shipped.association.scaled(factor)), out
