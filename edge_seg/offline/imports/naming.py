"""Names and versions for models that come without."""

from pathlib import Path
import re

from edge_seg.errors import OptionInvalid
from edge_seg.models.layered import LayeredStore
from edge_seg.models.reference import is_version, version_key

NAME = re.compile('[A-Za-z0-9][A-Za-z0-9._-]{0,63}')


def model_name(text: str) -> str:
    """Check a name before files are called after it.

    Raises:
        OptionInvalid: it is no name of a model.
    """
    if not NAME.fullmatch(text):
        raise OptionInvalid(
            f'--name: {text!r} is no name',
            expected="1 to 64 letters, digits, '_', '-' or '.', the first a letter or digit",
        )
    return text


def default_name(source: str) -> str:
    """Make a name of a file name, or of 'module:factory'."""
    _, colon, factory = source.rpartition(':')
    stem = factory if colon and factory.isidentifier() else Path(source).stem
    return re.sub(r'[^A-Za-z0-9._-]+', '-', stem).strip('.-_')[:64] or 'model'


def next_version(stores: LayeredStore, name: str) -> str:
    """Return the version after the highest folder of a model: 3 after 2, 1.2.4 after 1.2.3.

    What came with the package counts: a version should not mean two models.
    """
    entries = [listed.entry for listed in stores.entries()]
    present = [entry.version for entry in entries if entry.name == name]
    highest = max(filter(is_version, present), key=version_key, default='0')
    head, _, last = highest.rpartition('.')
    return f'{head}.{int(last) + 1}' if head else str(int(last) + 1)
