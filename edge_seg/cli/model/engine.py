"""Where a built engine goes: a file, or a new version of its model."""

from collections.abc import Iterator
from dataclasses import replace
import hashlib
from pathlib import Path
import shutil
from tempfile import TemporaryDirectory

import click
from edge_seg.backends.tensorrt.files.engine import read_engine
from edge_seg.backends.tensorrt.files.key import EngineRecord, read_record, record_path
from edge_seg.backends.tensorrt.files.writing import write_whole
from edge_seg.core.values import ArtifactFormat
from edge_seg.models.manifest import Artifact, ArtifactFile, Manifest, MANIFEST_NAME
from edge_seg.models.manifest_writer import dump_manifest
from edge_seg.models.package import ModelPackage
from edge_seg.models.store import ModelStore


def take_engine(engine: Path, out: Path) -> Path:
    """Copy an engine and its record to a file of the operator's.

    Raises:
        OSError: the folder cannot be written or is full.
    """
    write_whole(record_path(out), record_path(engine).read_bytes())
    write_whole(out, engine.read_bytes())
    return out


def publish_engine(
    store: ModelStore, package: ModelPackage, engine: Path, version: str
) -> ModelPackage:
    """Publish a version of a model that has the engine beside the files it had before.

    Other backends keep serving from those, and another machine can build from them. The record
    of what the engine was built for goes with it: on another machine it is refused by that.

    Raises:
        StoreError: the version is there already, or the store cannot be written to.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        manifest = package.manifest
        for file in _kept_files(manifest):
            target = folder / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(package.path_of(file), target)
        plan = folder / f'{manifest.spec.name}.plan'
        shutil.copyfile(engine, plan)
        shutil.copyfile(record_path(engine), record_path(plan))
        files = (_described(plan), _described(record_path(plan)))
        added = _with_engine(package, files, read_record(engine), version)
        (folder / MANIFEST_NAME).write_bytes(dump_manifest(added))
        return store.publish(folder)


def engine_facts(engine: Path) -> tuple[tuple[str, str], ...]:
    """Tell for the provenance what an engine from elsewhere was built by and for.

    It is read as the node will read it: what would be refused there is refused here. One without
    a record is refused by some nodes only, so that a warning is printed.

    Raises:
        CompileFailed: it is no engine, others can write it, or its record is of another one.
    """
    found = read_engine(engine)
    built_by = ('tensorrt', str(found.header.version))
    if found.record is not None:
        return (built_by, *_recorded(found.record))
    click.echo(
        f'edge_seg: {found.name} has no record of what it was built for: a node takes it only '
        'with tensorrt_unrecorded: true; edge_seg model build-engine makes one that has',
        err=True,
    )
    return (built_by,)


def _recorded(record: EngineRecord) -> list[tuple[str, str]]:
    machine = record.key.machine
    made_for = f'{machine.device}, compute {machine.compute_capability}'
    return [
        ('engine_built_for', f'TensorRT {machine.tensorrt}, {made_for}'),
        ('engine_precision', record.key.precision),
    ]


def _kept_files(manifest: Manifest) -> Iterator[ArtifactFile]:
    """Yield the files of a model but those of an older engine."""
    older = manifest.artifact(ArtifactFormat.TENSORRT_ENGINE)
    left_out = () if older is None else older.files
    yield from (file for file in manifest.files() if file not in left_out)


def _with_engine(
    package: ModelPackage,
    files: tuple[ArtifactFile, ...],
    record: EngineRecord | None,
    version: str,
) -> Manifest:
    manifest = package.manifest
    others = [a for a in manifest.artifacts if a.format is not ArtifactFormat.TENSORRT_ENGINE]
    fields = [*manifest.provenance.fields, ('engine_built_from', package.identity)]
    if record is not None:
        fields += _recorded(record)
    return replace(
        manifest,
        spec=replace(manifest.spec, version=version),
        artifacts=(*others, Artifact(ArtifactFormat.TENSORRT_ENGINE, files)),
        provenance=replace(manifest.provenance, fields=tuple(fields)),
    )


def _described(path: Path) -> ArtifactFile:
    content = path.read_bytes()
    return ArtifactFile(path.name, hashlib.sha256(content).hexdigest(), len(content))
