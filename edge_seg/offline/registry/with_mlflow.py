"""A registry of MLflow: versions with tags and aliases, the archive as artifact of a run."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
import os
from pathlib import Path
import socket
import sys
from typing import Any
from urllib.parse import urlsplit

from edge_seg.backends.sdk import sdk_import
from edge_seg.errors import (
    BackendUnavailable,
    IntegrityError,
    ModelNotFound,
    RegistryUnavailable,
    StoreError,
)
from edge_seg.models.package import Progress
from edge_seg.models.reference import is_label, is_name
from edge_seg.offline.registry.failures import registry_calls, without_password
from edge_seg.offline.registry.interface import in_order, RegisteredVersion, taken_by_another

EXPERIMENT = 'edge_seg'
FOLDER = 'archive'
TAG = 'edge_seg.'
CONNECT_TIMEOUT_S = 10.0
CREDENTIALS = 'set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN'
# Unless the user says otherwise: no waiting for minutes, no bars, no reports to anybody.
SETTINGS = {
    'MLFLOW_HTTP_REQUEST_MAX_RETRIES': '2',
    'MLFLOW_HTTP_REQUEST_TIMEOUT': '60',
    'MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR': 'false',
    'MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT': 'true',
    'MLFLOW_DISABLE_TELEMETRY': 'true',
}
_ABSENT = 'RESOURCE_DOES_NOT_EXIST'
_PRESENT = 'RESOURCE_ALREADY_EXISTS'
_HINT = 'pip install mlflow-skinny'


class MlflowRegistry:
    """A server of MLflow, or its files.

    Args:
        address: as MLFLOW_TRACKING_URI has it.

    Raises:
        RegistryUnavailable: mlflow is not installed, or nothing answers.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._answers()
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        try:
            with sdk_import('mlflow', _HINT):
                import mlflow
                import mlflow.artifacts
        except BackendUnavailable as error:
            raise RegistryUnavailable(error.met, remedy=error.remedy) from error
        self._mlflow: Any = mlflow
        self._failure: type[Exception] = mlflow.exceptions.MlflowException
        with self._calls():
            self._client = mlflow.MlflowClient(tracking_uri=address, registry_uri=address)

    def names(self) -> tuple[str, ...]:
        """Return the names of the models of ours."""
        with self._calls():
            found = self._pages(self._client.search_registered_models)
        return tuple(sorted(each.name for each in found if each.tags.get(f'{TAG}model') == 'true'))

    def versions(self, name: str) -> tuple[RegisteredVersion, ...]:
        """Return the versions of a model that edge_seg pushed, oldest first."""
        return in_order([version for version, _ in self._entries(name)])

    def add(
        self, version: RegisteredVersion, archive: Path, *, progress: Progress | None = None
    ) -> None:
        """Log the archive in a run, then make it a version of the model.

        MLflow does not tell how far an upload or a download is.
        """
        for label in version.labels:
            _refuse_alias(label)
        with self._calls():
            self._register(version.name)
            run = self._client.create_run(self._experiment(), run_name=version.identity)
            try:
                self._client.log_artifact(run.info.run_id, str(archive), FOLDER)
                made = self._client.create_model_version(
                    version.name,
                    source=f'{run.info.artifact_uri}/{FOLDER}',
                    run_id=run.info.run_id,
                    tags=_tags(version),
                    await_creation_for=None,
                )
            except BaseException:
                self._client.set_terminated(run.info.run_id, 'FAILED')
                raise
            self._client.set_terminated(run.info.run_id)
        first = min(
            (number for each, number in self._entries(version.name) if _same(each, version)),
            default=0,
        )
        if first != int(made.version):
            with self._calls():
                self._client.delete_model_version(version.name, made.version)
            raise taken_by_another(version)
        self.set_labels(version, version.labels)

    def set_labels(self, version: RegisteredVersion, labels: Sequence[str]) -> None:
        """Let aliases point to a version."""
        for label in labels:
            _refuse_alias(label)
        if not labels:
            return
        number = self._number(version)
        with self._calls():
            for label in labels:
                self._client.set_registered_model_alias(version.name, label, str(number))

    def fetch(
        self, version: RegisteredVersion, folder: Path, *, progress: Progress | None = None
    ) -> Path:
        """Download the archive of a version into a folder."""
        number = self._number(version)
        with self._calls():
            source = self._client.get_model_version_download_uri(version.name, str(number))
            path = self._mlflow.artifacts.download_artifacts(
                artifact_uri=f'{source}/{version.archive_name}',
                dst_path=str(folder),
                tracking_uri=self._address,
            )
        return Path(path)

    def _number(self, version: RegisteredVersion) -> int:
        for each, number in self._entries(version.name):
            if _same(each, version):
                return number
        raise ModelNotFound(f'the registry has no {version.identity} any more')

    def _entries(self, name: str) -> list[tuple[RegisteredVersion, int]]:
        """List the versions of ours with the number that MLflow gives them, oldest first."""
        if not is_name(name):
            return []
        with self._calls():
            found = self._pages(self._client.search_model_versions, f"name='{name}'")
            if not found:
                return []
            aliases = self._client.get_registered_model(name).aliases
        entries = []
        for each in sorted(found, key=lambda each: int(each.version)):
            if f'{TAG}version' not in each.tags:
                continue  # somebody else's, pushed by other means
            labels = sorted(
                alias
                for alias, number in aliases.items()
                if str(number) == str(each.version) and is_label(alias)
            )
            entries.append((_registered(name, each.tags, tuple(labels)), int(each.version)))
        return entries

    def _register(self, name: str) -> None:
        try:
            self._client.create_registered_model(name)
        except self._failure as error:
            if getattr(error, 'error_code', '') != _PRESENT:
                raise
        self._client.set_registered_model_tag(name, f'{TAG}model', 'true')

    def _experiment(self) -> str:
        found = self._client.get_experiment_by_name(EXPERIMENT)
        if found is None:
            try:
                return str(self._client.create_experiment(EXPERIMENT))
            except self._failure as error:
                if getattr(error, 'error_code', '') != _PRESENT:
                    raise
                found = self._client.get_experiment_by_name(EXPERIMENT)
        return str(found.experiment_id)

    def _pages(self, search: Any, query: str | None = None) -> list[Any]:
        found: list[Any] = []
        token = None
        while True:
            page = search(filter_string=query, page_token=token)
            found += page
            token = page.token
            if not token:
                return found

    def _answers(self) -> None:
        """Ask for a connection first: MLflow itself would try again for minutes."""
        parts = urlsplit(self._address)
        if parts.scheme not in ('http', 'https') or not parts.hostname:
            return
        try:
            port = parts.port or (443 if parts.scheme == 'https' else 80)
            socket.create_connection((parts.hostname, port), CONNECT_TIMEOUT_S).close()
        except (OSError, ValueError) as error:
            raise RegistryUnavailable(
                f'{without_password(self._address)} does not answer ({error})',
                remedy='check the address and the network',
            ) from error

    @contextmanager
    def _calls(self) -> Iterator[None]:
        # What it prints is not for who reads our JSON; old versions print whatever is set.
        with registry_calls(self._address, CREDENTIALS), redirect_stdout(sys.stderr):
            try:
                yield
            except self._failure as error:
                if getattr(error, 'error_code', '') == _ABSENT:
                    raise ModelNotFound(f'the registry says: {error}') from error
                raise


def _tags(version: RegisteredVersion) -> dict[str, str]:
    return {
        f'{TAG}version': version.version,
        f'{TAG}model_sha256': version.model_sha256,
        f'{TAG}archive_sha256': version.archive_sha256,
        f'{TAG}size': str(version.size_bytes),
        f'{TAG}signed': 'true' if version.signed else 'false',
    }


def _registered(name: str, tags: Any, labels: tuple[str, ...]) -> RegisteredVersion:
    size = tags.get(f'{TAG}size', '')
    if not size.isdecimal():
        raise IntegrityError(f'the registry gives {name} the size {size!r}', expected='bytes')
    return RegisteredVersion(
        name=name,
        version=tags[f'{TAG}version'],
        model_sha256=tags.get(f'{TAG}model_sha256', ''),
        archive_sha256=tags.get(f'{TAG}archive_sha256', ''),
        size_bytes=int(size),
        signed=tags.get(f'{TAG}signed') == 'true',
        labels=labels,
    )


def _same(a: RegisteredVersion, b: RegisteredVersion) -> bool:
    return a.version == b.version


def _refuse_alias(label: str) -> None:
    if label[:1] == 'v' and label[1:].isdecimal():
        raise StoreError(
            f'MLflow takes no alias {label!r}', expected='a label other than v and a number'
        )
