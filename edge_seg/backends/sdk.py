"""Importing a vendor SDK that may be absent or broken, without bringing the process down."""

from collections.abc import Iterator
from contextlib import contextmanager

from edge_seg.errors import BackendUnavailable


@contextmanager
def sdk_import(package: str, remedy: str) -> Iterator[None]:
    """Turn whatever the import of an SDK raises into one kind of error.

    Args:
        package: top-level package of the SDK, to tell 'not installed' from 'broken'.
        remedy: the install hint.

    Raises:
        BackendUnavailable: the import inside the ``with`` block failed, for any reason.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name == package:
            raise BackendUnavailable(f'{package} is not installed', remedy=remedy) from error
        raise _broken(package, error, remedy) from error
    except Exception as error:
        # Importing an SDK runs its code and its libraries: a wrong NumPy ABI, a missing library
        # or a bad configuration file each raise something else.
        raise _broken(package, error, remedy) from error


def _broken(package: str, error: Exception, remedy: str) -> BackendUnavailable:
    text = ' '.join(str(error).split()) or 'no message'
    return BackendUnavailable(
        f'{package} is installed but does not import ({type(error).__name__}: {text})',
        remedy=remedy,
    )
