"""YAML as PyYAML reads it, by libyaml where PyYAML was built with it, as its wheels are: eight times as fast.

For what every stage reads beside its own work. `pipeline.config` reads with PyYAML itself, whose messages show the line
that a user got wrong.
"""

from typing import Any

import yaml


def parse_yaml(text: str) -> Any:
    """What safe_load gives; raises yaml.YAMLError."""
    return yaml.load(text, Loader=yaml.CSafeLoader) if yaml.__with_libyaml__ else yaml.safe_load(text)
