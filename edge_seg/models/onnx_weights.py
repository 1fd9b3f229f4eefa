"""Holds an ONNX network to the files of its model: weights may lie in no others."""

import mmap
import os
from pathlib import Path, PurePosixPath

from edge_seg.core.onnx_files import files_of, leads_outside
from edge_seg.core.protobuf_wire import Malformed
from edge_seg.core.values import ArtifactFormat
from edge_seg.errors import IntegrityError
from edge_seg.models.durable import open_inside
from edge_seg.models.manifest import Manifest


def check_weights(folder: Path, manifest: Manifest) -> None:
    """Refuse a network that takes weights from a file whose digest nobody compares.

    What is no ONNX passes: the backends read it by the same code, and refuse it.

    Args:
        folder: the model's.
        manifest: what it declares.

    Raises:
        IntegrityError: the network names a file outside the folder, or one that the manifest does
            not name; or it cannot be opened.
    """
    artifact = manifest.artifact(ArtifactFormat.ONNX)
    if artifact is None:
        return
    main = PurePosixPath(artifact.main.path)
    try:
        locations = _locations(folder, artifact.main.path)
    except Malformed:
        return
    declared = {PurePosixPath(file.path) for file in manifest.files()}
    for location in locations:
        wanted = main.parent / _inside(artifact.main.path, location)
        if wanted not in declared:
            raise IntegrityError(
                f'{main} takes weights from {str(wanted)!r}, which the manifest does not name',
                expected='only files that the manifest gives a digest for',
                remedy='name it under artifacts, after the .onnx file',
            )


def weight_files(path: Path) -> tuple[str, ...]:
    """Find the files beside an ONNX file in which its weights lie.

    Returns:
        Their paths relative to the folder of the file, sorted; none when all is inside.

    Raises:
        IntegrityError: the file cannot be read, is no ONNX, or names one outside its folder.
    """
    real = path.resolve()
    try:
        locations = _locations(real.parent, real.name)
    except Malformed as error:
        raise IntegrityError(
            f'{path.name} is not a readable ONNX file ({error})',
            remedy='check that it was copied whole, or export it again',
        ) from error
    return tuple(sorted({str(_inside(path.name, location)) for location in locations}))


def _locations(folder: Path, name: str) -> frozenset[str]:
    descriptor = open_inside(folder, name)
    try:
        if not os.fstat(descriptor).st_size:
            raise Malformed('it is empty')
        # Not closed by hand: the views of a traceback may still point into it.
        return files_of(memoryview(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)))
    finally:
        os.close(descriptor)


def _inside(file: str, location: str) -> PurePosixPath:
    if leads_outside(location):
        raise IntegrityError(
            f'{file} takes weights from {location!r}',
            expected='a file in its folder',
            remedy='put the weights beside the .onnx file and export it again',
        )
    return PurePosixPath(location)
