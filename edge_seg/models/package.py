"""One model on disk: its folder, its manifest, and whether its files are those published."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import hashlib
import os
from pathlib import Path

from edge_seg.core.values import ArtifactFormat
from edge_seg.errors import IncompatibleModel, IntegrityError, ModelNotFound
from edge_seg.models.durable import open_inside, sha256_of
from edge_seg.models.manifest import (
    ArtifactFile,
    Manifest,
    MANIFEST_NAME,
    parse_manifest,
    read_manifest_bytes,
)
from edge_seg.models.onnx_weights import check_weights

SIGNATURE_NAME = 'manifest.sig'
Progress = Callable[[int, int], None]
"""Told bytes done and bytes in all."""


@dataclass(frozen=True, slots=True)
class ModelPackage:
    """A model whose manifest was read and whose files are all there.

    Attributes:
        path: absolute path of its folder.
        manifest: what it declares.
        manifest_sha256: digest of the manifest's bytes. They name the digest of every file, so
            this one stands for the whole model.
    """

    path: Path
    manifest: Manifest
    manifest_sha256: str

    @property
    def identity(self) -> str:
        """``name@version``."""
        return self.manifest.reference

    def path_of(self, file: ArtifactFile) -> Path:
        """Return the absolute path of one of its files."""
        return self.path / file.path

    def artifact_for(self, formats: Sequence[ArtifactFormat]) -> Path:
        """Return the main file of the first artifact in ``formats``, best first.

        Raises:
            IncompatibleModel: the model comes in none of them.
        """
        for wanted in formats:
            artifact = self.manifest.artifact(wanted)
            if artifact is not None:
                return self.path_of(artifact.main)
        offered = ', '.join(a.format.value for a in self.manifest.artifacts)
        raise IncompatibleModel(
            f'{self.identity} comes as {offered}',
            expected=' or '.join(f.value for f in formats),
        )


def open_package(folder: Path) -> ModelPackage:
    """Read the model in ``folder``: manifest checked, files there, their content not read.

    Raises:
        ModelNotFound: there is no manifest.
        ManifestInvalid: the manifest is wrong.
        IntegrityError: a file is missing, empty, cut short, a link, or none.
    """
    manifest_path = folder / MANIFEST_NAME
    if not os.path.lexists(manifest_path):
        raise ModelNotFound(
            f'{folder} has no {MANIFEST_NAME}',
            remedy='it was not copied to the end, or is no model',
        )
    text = read_manifest_bytes(manifest_path)
    manifest = parse_manifest(text, file=str(manifest_path))
    package = ModelPackage(folder.absolute(), manifest, hashlib.sha256(text).hexdigest())
    for file in manifest.files():
        os.close(_open_sized(package, file))
    return package


def signed_bytes(package: ModelPackage) -> bytes:
    """Return the manifest's bytes, the same as were read when the package was opened.

    Raises:
        IntegrityError: the manifest changed in between.
        ManifestInvalid: it is gone.
    """
    text = read_manifest_bytes(package.path / MANIFEST_NAME)
    if hashlib.sha256(text).hexdigest() != package.manifest_sha256:
        raise IntegrityError(
            f'the manifest of {package.identity} changed while it was loaded',
            remedy='load it again',
        )
    return text


def verify_artifacts(package: ModelPackage, progress: Progress | None = None) -> None:
    """Compare every file with its digest in the manifest; reads in chunks, may take seconds.

    Args:
        package: the model.
        progress: told bytes done and bytes in all, in the calling thread.

    Raises:
        IntegrityError: a file differs, is missing or a link; or a file is there, or is read by
            the network, that the manifest does not name, so that nobody has checked it.
        ManifestInvalid: the manifest is gone.
    """
    signed_bytes(package)
    _refuse_strangers(package)
    files = list(package.manifest.files())
    total = sum(_length(package.path_of(file)) for file in files)
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(done, total)

    for file in files:
        descriptor = _open_sized(package, file)
        try:
            found = sha256_of(descriptor, advance)
        except OSError as error:
            raise IntegrityError(
                f'{package.path_of(file)} cannot be read ({error.strerror})'
            ) from error
        finally:
            os.close(descriptor)
        check_digest(package.path_of(file), file, found)
    check_weights(package.path, package.manifest)


def check_digest(path: Path, file: ArtifactFile, found: str) -> None:
    """Refuse a file whose digest is not the declared one.

    Raises:
        IntegrityError: always when they differ.
    """
    if found != file.sha256:
        raise IntegrityError(
            f'{path} has sha256 {found}',
            expected=file.sha256,
            remedy='the file was changed or damaged after the manifest was written; '
            'publish the model again',
        )


def _length(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # opening it says why


def _open_sized(package: ModelPackage, file: ArtifactFile) -> int:
    descriptor = open_inside(package.path, file.path)
    size = os.fstat(descriptor).st_size
    if size == 0 or (file.size is not None and size != file.size):
        os.close(descriptor)
        raise IntegrityError(
            f'{package.path_of(file)} has {size} bytes',
            expected=str(file.size or 'some content'),
            remedy='it was not copied to the end; publish the model again',
        )
    return descriptor


def _refuse_strangers(package: ModelPackage) -> None:
    declared = {file.path for file in package.manifest.files()}
    declared |= {MANIFEST_NAME, SIGNATURE_NAME}
    for folder, subfolders, names in os.walk(package.path):
        for name in [*names, *(s for s in subfolders if os.path.islink(Path(folder, s)))]:
            relative = Path(folder, name).relative_to(package.path).as_posix()
            # Model cards, and what an interrupted signing leaves.
            if relative in declared or name.startswith('.') or name.endswith('.md'):
                continue
            raise IntegrityError(
                f'{package.path / relative} is not named in the manifest',
                expected='only the files that the manifest gives a digest for',
                remedy='name it under artifacts, or take it out of the folder',
            )
