"""Publishing a model: everything is on the disk before the one rename that makes it visible."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
import os
from pathlib import Path

from edge_seg.errors import IntegrityError, StoreError
from edge_seg.models.durable import copy_durably, open_inside, sync_folder, write_durably
from edge_seg.models.manifest import (
    ArtifactFile,
    Manifest,
    MANIFEST_NAME,
    parse_manifest,
    read_manifest_bytes,
)
from edge_seg.models.onnx_weights import check_weights
from edge_seg.models.package import check_digest, Progress, SIGNATURE_NAME
from edge_seg.models.workspace import move_durably, reported, Workspace

MAX_SIGNATURE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Submission:
    """What is to be published.

    Attributes:
        manifest: bytes of manifest.yaml, published as they are: a signature covers them.
        folder: where the manifest's files lie, under the paths that it gives them.
        elsewhere: source of the files that lie elsewhere, by their path in the manifest.
        signature: bytes of manifest.sig, or None.
    """

    manifest: bytes
    folder: Path
    elsewhere: Mapping[str, Path]
    signature: bytes | None = None


def submission_from(folder: Path) -> Submission:
    """Read manifest and signature of a model's folder.

    Raises:
        ManifestInvalid: the manifest cannot be read.
        IntegrityError: the signature cannot be read.
    """
    manifest = read_manifest_bytes(folder / MANIFEST_NAME)
    signature = None
    if os.path.lexists(folder / SIGNATURE_NAME):
        with os.fdopen(open_inside(folder, SIGNATURE_NAME), 'rb') as stream:
            signature = stream.read(MAX_SIGNATURE_BYTES)
    return Submission(manifest, folder.absolute(), {}, signature)


def publish(
    root: Path, submission: Submission, *, progress: Progress | None = None
) -> tuple[str, str]:
    """Put a model into the store at ``root``, whole or not at all.

    Args:
        root: the store.
        submission: the model.
        progress: told bytes done and bytes in all, in the calling thread.

    Returns:
        Name and version.

    Raises:
        ManifestInvalid: the manifest is wrong.
        IntegrityError: a file is missing, a link, or not the one that the manifest declares; or
            the network takes weights from others.
        StoreError: the version is there already, or the store cannot be written to.
    """
    manifest = parse_manifest(submission.manifest, file=str(submission.folder / MANIFEST_NAME))
    name, version = manifest.spec.name, manifest.spec.version
    target = root / name / version
    _refuse_existing(target)
    workspace = Workspace(root)
    with workspace.staging(f'publish-{name}-{version}') as staging:
        with reported(root):
            _fill(staging, submission, manifest, progress)
        with workspace.locked(), reported(root):
            _enter(target.parent)
            _refuse_existing(target)
            move_durably(staging, target)
    return name, version


def _fill(
    staging: Path, submission: Submission, manifest: Manifest, progress: Progress | None
) -> None:
    """Copy artifacts, then signature, then the manifest: without it a folder is no model."""
    with _sources(submission, manifest) as sources:
        total = sum(os.fstat(descriptor).st_size for _, descriptor in sources)
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            if progress is not None:
                progress(done, total)

        for file, descriptor in sources:
            target = staging / file.path
            for inner in reversed(target.relative_to(staging).parents):
                (staging / inner).mkdir(mode=0o755, exist_ok=True)
            check_digest(target, file, copy_durably(descriptor, target, advance))
    check_weights(staging, manifest)
    if submission.signature is not None:
        write_durably(staging / SIGNATURE_NAME, submission.signature)
    for folder, _, _ in os.walk(staging, topdown=False):
        sync_folder(Path(folder))
    write_durably(staging / MANIFEST_NAME, submission.manifest)
    sync_folder(staging)


@contextmanager
def _sources(
    submission: Submission, manifest: Manifest
) -> Iterator[list[tuple[ArtifactFile, int]]]:
    """Open every file before the first is copied, so that a missing one costs nothing."""
    opened: list[tuple[ArtifactFile, int]] = []
    try:
        for file in manifest.files():
            other = submission.elsewhere.get(file.path)
            if other is None:
                descriptor = open_inside(submission.folder, file.path)
            else:
                descriptor = open_inside(other.parent, other.name)
            opened.append((file, descriptor))
            size = os.fstat(descriptor).st_size
            if size == 0 or (file.size is not None and size != file.size):
                raise IntegrityError(
                    f'{submission.folder / file.path} has {size} bytes',
                    expected=str(file.size or 'some content'),
                )
        yield opened
    finally:
        for _, descriptor in opened:
            os.close(descriptor)


def _enter(model_folder: Path) -> None:
    if model_folder.is_symlink():
        raise StoreError(
            f'{model_folder} is a symbolic link',
            expected='a folder',
            remedy='remove the link: models are kept inside the store',
        )
    if not model_folder.is_dir():
        model_folder.mkdir(mode=0o755)
        sync_folder(model_folder.parent)


def _refuse_existing(target: Path) -> None:
    # rename() would replace an empty folder without a word, hence lexists.
    if os.path.lexists(target):
        raise StoreError(
            f'{target.parent.name}@{target.name} is in the store already',
            expected='a new version: a published one never changes',
            remedy='raise the version, or remove the old one with edge_seg model remove',
        )
