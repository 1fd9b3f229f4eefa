"""Looks up what a ROS 2 parameter file sets, for launch files, which must know before the node."""

from collections.abc import Iterator, Mapping
from pathlib import Path
import re
from typing import Any

from edge_seg.errors import SettingsInvalid
import yaml

_WILDCARDS = {'**': r'(/\w+)*', '*': r'/\w+'}


def value_in_file(file: Path, *, node: str, name: str) -> object:
    """Give the value of a parameter; the last one counts, as for the node itself.

    Args:
        file: parameter file.
        node: full name of the node, such as '/front/segmentation'.
        name: of the parameter.

    Returns:
        As YAML has it; None when the file does not set it for this node.

    Raises:
        SettingsInvalid: the file cannot be read.
    """
    try:
        tree = yaml.safe_load(file.read_text('utf-8'))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise SettingsInvalid(f'{file} cannot be read: {error}', expected='YAML') from error
    value: object = None
    for pattern, parameters in _nodes(tree, ''):
        if name in parameters and re.fullmatch(_expression(pattern), node):
            value = parameters[name]
    return value


def _nodes(tree: Any, above: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Give names of nodes, wildcards in them, and their parameters; namespaces may be nested."""
    if not isinstance(tree, dict):
        return
    for key, below in tree.items():
        if key == 'ros__parameters' and isinstance(below, dict):
            yield above, below
        else:
            yield from _nodes(below, f'{above}/{str(key).strip("/")}')


def _expression(pattern: str) -> str:
    parts = pattern.strip('/').split('/')
    return ''.join(_WILDCARDS.get(part, '/' + re.escape(part)) for part in parts)
