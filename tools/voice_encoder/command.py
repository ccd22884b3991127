"""What every command of the recipe does first and last: options, logging, and mistakes that a user can read."""

import argparse
import logging
import sys
from collections.abc import Callable

from pipeline.errors import PipelineError


def run_command(main: Callable[[], None]) -> None:
    """Run a command's main; a PipelineError becomes its message on stderr and exit code 1, no traceback."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    try:
        main()
    except PipelineError as error:
        sys.stderr.write(f"\n{type(error).__name__}: {error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.stderr.write("\nstopped\n")
        sys.exit(130)


def options(doc: str | None) -> argparse.ArgumentParser:
    """A parser whose help is the module's text as it is written."""
    return argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)


def count(text: str) -> int:
    """An option that counts something: 1 or more."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is below 1")
    return number
