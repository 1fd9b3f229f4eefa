"""Named presets: how pixels are normalised, and which classes have which names and colours.

They are YAML files in the folder ``presets`` beside this module.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
import re
from typing import Any

from edge_seg.core.values import ClassInfo
from edge_seg.errors import OptionInvalid
from edge_seg.models.guarded_yaml import parse_mapping

FOLDER = Path(__file__).resolve().parent / 'presets'
NORMALISATION_FILE = 'normalisation.yaml'
COLOR = re.compile(r'(.*?)\s*#([0-9a-fA-F]{6})')


@dataclass(frozen=True, slots=True)
class Normalisation:
    """The value of a channel is (pixel / scale - mean) / std; one number fits any channel."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    scale: float
    about: str = ''


@dataclass(frozen=True, slots=True)
class LabelSet:
    """The classes of a data set, in the order of their ids.

    Attributes:
        name: by which it is asked for.
        about: one line.
        classes: names and colours.
    """

    name: str
    about: str
    classes: tuple[ClassInfo, ...]


@lru_cache(maxsize=1)
def normalisations() -> Mapping[str, Normalisation]:
    """Return the named normalisations."""
    document = _read(FOLDER / NORMALISATION_FILE)
    return {name: _normalisation(entry) for name, entry in document.items()}


@lru_cache(maxsize=1)
def label_sets() -> Mapping[str, LabelSet]:
    """Return the named label sets."""
    paths = sorted(path for path in FOLDER.glob('*.yaml') if path.name != NORMALISATION_FILE)
    return {path.stem: _label_set(path) for path in paths}


def colored(text: str, color: tuple[int, int, int]) -> ClassInfo:
    """Read 'name' or 'name #rrggbb'; what has no colour gets ``color``.

    Raises:
        OptionInvalid: what stands after the # is no colour.
    """
    match = COLOR.fullmatch(text)
    if match is None:
        if '#' in text:
            raise OptionInvalid(f'{text!r} has no colour after the #', expected='NAME#rrggbb')
        return ClassInfo(text, color)
    red, green, blue = bytes.fromhex(match[2])
    return ClassInfo(match[1], (red, green, blue))


def _normalisation(entry: Mapping[str, Any]) -> Normalisation:
    mean, std = (tuple(float(value) for value in entry[name]) for name in ('mean', 'std'))
    return Normalisation(mean, std, float(entry['scale']), entry['about'])


def _label_set(path: Path) -> LabelSet:
    document = _read(path)
    classes = tuple(colored(text, (0, 0, 0)) for text in document['classes'])
    return LabelSet(path.stem, document['about'], classes)


def _read(path: Path) -> Mapping[str, Any]:
    return parse_mapping(path.read_bytes(), file=str(path))
