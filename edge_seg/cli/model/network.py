"""The options of ``model add`` and ``model import`` that describe a network."""

from collections.abc import Mapping
from typing import Any

import click
from edge_seg.offline.imports.given import GivenOptions

NETWORK_OPTIONS = (
    (('--input-name',), 'Input tensor, when there are several.'),
    (('--input-size',), 'WIDTHxHEIGHT, when the file leaves it open.'),
    (('--input-layout',), 'NCHW or NHWC, when the file does not tell.'),
    (('--input-dtype',), 'float32, float16 or uint8 (TensorRT engines only).'),
    (('--color-order',), 'rgb or bgr.'),
    (('--normalise',), 'imagenet, unit, signed-unit, raw, or MEAN,../STD,..[/SCALE].'),
    (('--resize',), 'stretch, letterbox or center_crop; default stretch.'),
    (('--anchor',), 'Where a letterboxed image lies: center or top_left; default center.'),
    (('--pad-value',), 'Gray level around a letterboxed image; default 114.'),
    (('--output', '--output-name', 'output_name'), 'Output tensor, when there are several.'),
    (('--output-layout',), 'NCHW, NHWC, NHW or HW, when the file does not tell.'),
    (('--kind', 'output_kind'), 'logits, probabilities, sigmoid, sigmoid_logits or labels.'),
    (('--threshold',), 'Probability from which a sigmoid says class 1; default 0.5.'),
    (('--ignore-id',), 'Id in a label output that means no class.'),
    (('--resample',), 'labels or logits; default labels.'),
    (
        ('--classes',),
        'a,b,c in the order of their ids, #rrggbb after each if wanted; @FILE; or a label set.',
    ),
)


def network_options(function: Any) -> Any:
    """Give a command the options that describe a network; it takes them as keywords."""
    for names, text in reversed(NETWORK_OPTIONS):
        function = click.option(*names, help=text)(function)
    return function


def given_options(given: Mapping[str, Any]) -> GivenOptions:
    """Pick the options that describe a network out of a command's keywords."""
    known: dict[str, Any] = {name: given[name] for name in GivenOptions.__dataclass_fields__}
    return GivenOptions(**known)


def pair(text: str) -> tuple[str, str]:
    """Read a value of --provenance."""
    name, equals, value = text.partition('=')
    if not name or not equals:
        raise click.UsageError(f'--provenance: {text!r} is not KEY=VALUE')
    return name, value
