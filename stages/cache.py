"""Look at and shrink the item cache: `python -m stages.cache size`, `python -m stages.cache prune --days 90`."""

import argparse
import logging

from pipeline.extraction.item_cache import ItemCache
from pipeline.runtime.workspace import items_path
from stages.common import run_command

_DAY = 86400.0  # s

logger = logging.getLogger("stages.cache")


def main() -> None:
    """A command, not a stage of the graph: show or shrink the item cache."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("size", help="entries and bytes")
    prune = commands.add_parser("prune", help="drop entries written longer ago than --days")
    prune.add_argument("--days", type=_days, required=True)
    arguments = parser.parse_args()
    with ItemCache(items_path()) as cache:
        if arguments.command == "prune":
            logger.info("%d entries dropped", cache.prune(arguments.days * _DAY))
        entries, size = cache.usage()
    logger.info("%s: %d entries, %.1f MB", items_path(), entries, size / 1e6)


def _days(text: str) -> float:
    days = float(text)  # a ValueError is argparse's to report
    if not 0 <= days < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no number of days; 0 drops every entry")
    return days


if __name__ == "__main__":
    run_command(main)
