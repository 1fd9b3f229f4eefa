"""How models are named: ``name``, ``name@version``, ``name@label``, and which version is newer."""

from dataclasses import dataclass
import os
import re

from edge_seg.errors import ModelNotFound

LATEST = 'latest'
STABLE = 'stable'

_NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]{0,63}')
_LABEL = re.compile(r'[a-z][a-z0-9_-]{0,31}')
_NUMBER = r'(?:0|[1-9][0-9]{0,8})'
_VERSION = re.compile(rf'{_NUMBER}(?:\.{_NUMBER}\.{_NUMBER})?')
_FORMS = 'name, name@version, name@latest, name@label, or a path with a slash'


@dataclass(frozen=True, slots=True)
class Reference:
    """A name with an optional selector: a version, a label, 'latest', or '' for the default."""

    name: str
    selector: str = ''


def is_name(text: str) -> bool:
    """Say whether ``text`` may be the name of a model."""
    return _NAME.fullmatch(text) is not None


def is_version(text: str) -> bool:
    """Say whether ``text`` is an integer or MAJOR.MINOR.PATCH without leading zeros."""
    return _VERSION.fullmatch(text) is not None


def is_label(text: str) -> bool:
    """Say whether ``text`` may be a label that an operator sets ('latest' is not one)."""
    return _LABEL.fullmatch(text) is not None and text != LATEST


def version_key(version: str) -> tuple[int, int, int, int]:
    """Return a key that sorts versions: 1 < 1.0.0 < 1.2.0 < 1.10.0 < 2 < 10.

    An integer N stands just before N.0.0.

    Raises:
        ValueError: ``version`` is none.
    """
    if not is_version(version):
        raise ValueError(f'{version!r} is no version')
    parts = [int(part) for part in version.split('.')]
    if len(parts) == 1:
        return parts[0], 0, 0, 0
    return parts[0], parts[1], parts[2], 1


def is_path(request: str) -> bool:
    """Say whether a request means a folder or manifest on disk: it has a slash, or is a dot."""
    return '/' in request or os.sep in request or request in ('.', '..', '~')


def parse_reference(request: str) -> Reference:
    """Split a request into name and selector.

    Raises:
        ModelNotFound: it is not of the form that a store serves.
    """
    name, at, selector = request.partition('@')
    well_formed = is_name(name) and (
        not at or selector == LATEST or is_version(selector) or is_label(selector)
    )
    if not well_formed:
        raise ModelNotFound(f'{request!r} names no model', expected=_FORMS)
    return Reference(name, selector)
