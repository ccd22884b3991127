"""A folder belongs to the settings that began it: clips of two corpora must never mix when a run goes on."""

import json
from dataclasses import asdict
from pathlib import Path

from tools.corpus.errors import SettingsError
from tools.corpus.files import written_whole
from tools.corpus.settings import Settings

_MAY_CHANGE = ("people", "clips", "workers")  # more of the same corpus, or the same made faster


def claim(out: Path, settings: Settings) -> None:
    """Write truth/settings.json, or check that what is there agrees; raises SettingsError where it does not."""
    path = out / "truth" / "settings.json"
    wanted = {name: value for name, value in asdict(settings).items() if name not in _MAY_CHANGE}
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
        differing = sorted(name for name in wanted if found.get(name) != wanted[name])
        if differing:
            raise SettingsError(
                f"{out} holds a corpus of other settings ({', '.join(differing)}): choose another --out or remove it"
            )
        return
    with written_whole(path) as unfinished:
        unfinished.write_text(json.dumps(wanted, indent=1) + "\n", encoding="utf-8")
