"""Fills templates of pages with Jinja2: HTML with everything in it, nothing loaded or run."""

import base64
from pathlib import Path
from typing import TYPE_CHECKING

from edge_seg.backends.sdk import sdk_import

if TYPE_CHECKING:
    from jinja2 import Environment

INSTALL_HINT = (
    'pip install "edge_seg[reports]", or pip install jinja2, or apt-get install python3-jinja2'
)
HERE = Path(__file__).parent
NOT_KNOWN = '-'


def check_pages() -> None:
    """Find out whether pages can be made here, before there is something to put in.

    Raises:
        BackendUnavailable: Jinja2 is not installed, or does not import.
    """
    with sdk_import('jinja2', INSTALL_HINT):
        import jinja2  # noqa: F401


def fill(template: Path, **values: object) -> str:
    """Fill a template, which may extend ``page.html`` and import ``parts.html`` of this folder.

    What is filled in is text, whatever it is: it is escaped.

    Raises:
        BackendUnavailable: Jinja2 is not installed, or does not import.
    """
    return _environment(template.parent).get_template(template.name).render(values)


def _environment(folder: Path) -> 'Environment':
    check_pages()
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([folder, HERE]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        'as_jpeg': _as_jpeg,
        'as_milliseconds': as_milliseconds,
        'as_percent': as_percent,
        'as_svg': _as_svg,
    }
    return environment


def _as_svg(document: str) -> str:
    return f'data:image/svg+xml;base64,{_base64(document.encode())}'


def _as_jpeg(content: bytes) -> str:
    return f'data:image/jpeg;base64,{_base64(content)}'


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode('ascii')


def as_percent(share: float | None) -> str:
    """Return a share as people read it."""
    return NOT_KNOWN if share is None else f'{share:.1%}'


def as_milliseconds(value: float | None) -> str:
    """Return milliseconds as people read them."""
    if value is None:
        return NOT_KNOWN
    return f'{value:.0f} ms' if value >= 100 else f'{value:.3g} ms'
