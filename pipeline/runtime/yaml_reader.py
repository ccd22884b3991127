"""The one reader of YAML: what DVC reads, by DVC's own parser (ruamel.yaml, YAML 1.2).

Two readers of one params.yaml would run a stage on other values than dvc.lock records: YAML 1.1, which PyYAML reads,
takes `1e-5` for text, `010` for 8 and `no` for false, and the last of two equal keys without a word.
"""

from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import YAMLError

__all__ = ["YAMLError", "parse_yaml"]


def parse_yaml(text: str) -> Any:
    """Mappings, lists and plain values of one document, None for an empty one.

    Raises YAMLError for text that is no YAML, for a key that is twice in one mapping and for tags that would build
    objects.
    """
    try:
        return YAML(typ="safe").load(text)
    except DuplicateKeyError as error:  # its own message also explains how to allow it
        raise YAMLError(f"{error.problem}{error.problem_mark}") from error
    except ValueError as error:  # `2001-99-99`, which looks like a date; letters that UTF-8 does not have
        raise YAMLError(str(error)) from error
