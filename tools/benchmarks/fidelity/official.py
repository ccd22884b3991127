"""One run of an official training script as it stands: `python official.py ORDER.json`, written by scripts.py.

It needs nothing of SBNet, so that another interpreter, with TensorFlow, can run it. What ties the scripts to 2020 and
to a GPU is supplied from outside, and nothing else is changed:

- `scipy.random` and `np.float` are put back: `numpy.random`, as it was, and `float`. numpy.random gets the seed.
- Without a GPU, `.cuda()` returns its object, and the flag `--cuda`, which cannot be switched off, is switched off.
- `online_evaluation.calculate_val`, whose results nobody reads, is left out: `interp1d` now refuses the equal numbers
  that it is given, and it takes most of a test.
- TensorFlow 1 is `tensorflow.compat.v1` with `tf_keras`, `tf.contrib.layers` is `tf_slim`; `progressbar` shows nothing.
- The order's replacements in the script's text, each of which must fit exactly once.

Prints a JSON line for each test between epochs: eer and auc, as the script's own test returns them (shares), and
seconds: `read`, `trained` and, of the processor, `processor`. With `"test": false` the test is left out, for a
comparison of speed.
"""

import argparse
import importlib
import json
import os
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

_CHANCE = (0.5, 0.5)


def main() -> None:
    """Run the script of the order in the working directory, which it fills with its models."""
    order = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    script = Path(order["script"])
    sys.path.insert(0, str(script.parent))
    words, sys.stdout = sys.stdout, sys.stderr  # the script's own words are not ours
    sys.argv = [str(script), *order["arguments"]]
    os.environ["MPLBACKEND"] = "Agg"
    _supply_numpy(order["seed"])
    watch = _Watch()
    if order["framework"] == "tensorflow":
        _supply_tensorflow()
    else:
        _supply_torch(watch)
    evaluation = importlib.import_module("online_evaluation")
    vars(evaluation)["calculate_val"] = lambda *_, **__: (0.0, 0.0, 0.0)
    tested = watch.around(getattr(evaluation, order["function"]) if order["test"] else lambda *_: _CHANCE, words)
    setattr(evaluation, order["function"], tested)
    text = _replaced(script.read_text(encoding="utf-8"), order["replacements"], script)
    watch.start()
    exec(compile(text, str(script), "exec"), {"__name__": "__main__", "__file__": str(script)})


def _replaced(text: str, replacements: dict[str, str], script: Path) -> str:
    for old, new in replacements.items():
        if text.count(old) != 1:
            raise SystemExit(f"{script} holds {old!r} {text.count(old)} times instead of once: another version?")
        text = text.replace(old, new)
    return text


class _Watch:
    """Seconds that reading and each epoch took, without the tests."""

    def __init__(self) -> None:
        self.begin = self.processor = 0.0
        self.read: float | None = None

    def start(self) -> None:
        self.begin = time.perf_counter()

    def ready(self) -> None:
        """The features are read: training begins."""
        if self.read is None:
            self.read = time.perf_counter() - self.begin
            self.restart()

    def restart(self) -> None:
        """An epoch begins."""
        self.begin, self.processor = time.perf_counter(), time.process_time()

    def around(self, test: Callable[..., Any], words: Any) -> Callable[..., Any]:
        """The script's test, whose result is printed as well."""

        def tested(*arguments: Any) -> Any:
            trained, processor = time.perf_counter() - self.begin, time.process_time() - self.processor
            eer, auc = found = test(*arguments)
            seconds = {"read": self.read, "trained": trained, "processor": processor}
            line = {"eer": float(eer), "auc": float(auc), **seconds}
            words.write(json.dumps(line) + "\n")
            words.flush()
            self.restart()
            return found

        return tested


def _supply_numpy(seed: int) -> None:
    import numpy as np
    import scipy

    np.random.seed(seed)  # noqa: NPY002  (what the scripts shuffle with)
    vars(np).setdefault("float", float)
    vars(scipy)["random"] = np.random


def _supply_torch(watch: _Watch) -> None:
    import torch

    made = torch.optim.Adam.__init__

    def adam(self: Any, *arguments: Any, **options: Any) -> None:
        watch.ready()
        made(self, *arguments, **options)

    vars(torch.optim)["Adam"] = type("Adam", (torch.optim.Adam,), {"__init__": adam})
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    if torch.cuda.is_available():
        return
    torch.nn.Module.cuda = torch.Tensor.cuda = lambda self, *_: self  # type: ignore[method-assign,assignment]
    parse = argparse.ArgumentParser.parse_known_args

    def without_cuda(self: argparse.ArgumentParser, *arguments: Any, **options: Any) -> Any:
        flags, unknown = parse(self, *arguments, **options)
        flags.cuda = False
        return flags, unknown

    argparse.ArgumentParser.parse_known_args = without_cuda  # type: ignore[method-assign]


def _supply_tensorflow() -> None:
    os.environ["TF_USE_LEGACY_KERAS"] = "1"  # Keras 3 has no tf.layers
    old = importlib.import_module("tensorflow").compat.v1
    slim = importlib.import_module("tf_slim")
    old.disable_v2_behavior()
    layers = types.ModuleType("tensorflow.contrib.layers.python.layers")
    vars(layers).update(fully_connected=slim.layers.fully_connected)
    contrib = types.ModuleType("tensorflow.contrib")
    vars(contrib)["layers"] = types.SimpleNamespace(xavier_initializer=slim.xavier_initializer)
    vars(old)["contrib"] = contrib
    bar = types.SimpleNamespace(update=lambda _: None)
    vars(progressbar := types.ModuleType("progressbar"))["ProgressBar"] = lambda **_: bar
    empty = [types.ModuleType(f"tensorflow.contrib.{name}") for name in ("layers", "layers.python")]
    sys.modules |= {module.__name__: module for module in (contrib, *empty, layers, progressbar)}
    sys.modules["tensorflow"] = old


if __name__ == "__main__":
    main()
