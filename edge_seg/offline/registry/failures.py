"""What goes wrong with a registry, said in one line and without passwords."""

from collections.abc import Iterator
from contextlib import contextmanager
import re

from edge_seg.errors import EdgeSegError, RegistryUnavailable

_PASSWORD = re.compile(r'(?<=://)[^/@\s]*@')
_REFUSALS = ('401', '403', 'unauthenticated', 'unauthorized', 'permission', 'forbidden', 'denied')
MAX_TEXT = 300


def without_password(address: str) -> str:
    """Return an address, or text with addresses, without user and password."""
    return _PASSWORD.sub('', address)


@contextmanager
def registry_calls(address: str, credentials: str) -> Iterator[None]:
    """Turn whatever a registry's client raises into one kind of error.

    Args:
        address: of the registry.
        credentials: how a user is named to it, for the remedy.

    Raises:
        RegistryUnavailable: the block raised what is not ours.
    """
    try:
        yield
    except EdgeSegError:
        raise
    except Exception as error:
        # Each client has errors of its own, down to those of its network library, with no root
        # in common.
        raise _unavailable(address, credentials, error) from error


def _unavailable(address: str, credentials: str, error: Exception) -> RegistryUnavailable:
    text = without_password(' '.join(str(error).split())) or type(error).__name__
    if len(text) > MAX_TEXT:
        text = f'{text[:MAX_TEXT]}...'
    where = without_password(address)
    status = getattr(error, 'get_http_status_code', lambda: 0)()
    if status in (401, 403) or any(word in text.casefold() for word in _REFUSALS):
        return RegistryUnavailable(f'{where} refuses: {text}', remedy=credentials)
    return RegistryUnavailable(
        f'{where} cannot be used ({type(error).__name__}: {text})',
        remedy='check the address and the network',
    )
