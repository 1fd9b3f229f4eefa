"""Opening a registry by its address."""

from edge_seg.errors import RegistryUnavailable
from edge_seg.offline.registry.interface import Registry

MLFLOW_PREFIX = 'mlflow+'
FORMS = 'mlflow+http://HOST:PORT, file:///FOLDER, s3://BUCKET/FOLDER or another fsspec address'


def open_registry(address: str) -> Registry:
    """Open a registry.

    Args:
        address: 'mlflow+http://host:port' (or +https, +sqlite, +file), else anything that
            fsspec knows: 'file:///srv/models', 's3://bucket/models', 'sftp://host/models'.

    Raises:
        RegistryUnavailable: the address is of no such form, does not answer, or lacks a package.
    """
    # On demand: neither is needed for the other, and both take long to import.
    if address.startswith(MLFLOW_PREFIX):
        from edge_seg.offline.registry.with_mlflow import MlflowRegistry

        return MlflowRegistry(address.removeprefix(MLFLOW_PREFIX))
    if '://' not in address:
        raise RegistryUnavailable(f'{address!r} is no address of a registry', expected=FORMS)
    from edge_seg.offline.registry.with_fsspec import FsspecRegistry

    return FsspecRegistry(address)
