"""``edge_seg model build-engine``: builds the engine of a model where it will run."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import os
from pathlib import Path
import sys
from tempfile import TemporaryDirectory
import threading
import time
from typing import Any, cast

import click
from edge_seg.backends.base import CompileOptions
from edge_seg.backends.build_progress import BuildProgress
from edge_seg.backends.registry import choose
from edge_seg.backends.tensorrt.building.ahead import BuildsEngines
from edge_seg.backends.tensorrt.building.plan import BuildPlan
from edge_seg.backends.tensorrt.files.key import read_record, record_path
from edge_seg.cli.model.engine import publish_engine, take_engine
from edge_seg.cli.view import in_bytes, json_option, show_json, show_pairs, stores_option
from edge_seg.core.values import ArtifactFormat
from edge_seg.errors import BackendUnavailable, StoreError
from edge_seg.models.layered import LayeredStore
from edge_seg.models.package import ModelPackage, verify_artifacts
from edge_seg.models.reference import is_version
from edge_seg.models.store import ModelStore
from edge_seg.runtime.building.build_cache import BuildCache
from edge_seg.runtime.building.engine_builds import EngineBuilds
from edge_seg.runtime.building.engine_child import OnBuild
from edge_seg.runtime.parameters.settings import SegmentationSettings

CACHE_LIMIT_BYTES = 1 << 40
"""Nothing is removed from the node's cache here: the node knows its own limit."""
LINE_PERIOD_S = 5.0
"""From one line of progress to the next where there is no terminal."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the engine goes; with neither, only into the cache that the node looks in.

    Attributes:
        out: a file.
        version: a new version of the model in the store.
    """

    out: Path | None
    version: str


@click.command('build-engine')
@click.argument('model')
@click.option(
    '--precision',
    type=click.Choice(['auto', 'fp32', 'fp16', 'bf16', 'int8']),
    default='auto',
    show_default=True,
    help='auto takes the types of the ONNX file; a named one is met or refused.',
)
@click.option('--workspace', type=click.IntRange(1), metavar='MIB', help='Most scratch memory.')
@click.option('--opt-level', type=click.IntRange(0, 5), help='0 builds fast, 5 runs fast.')
@click.option('--dla-core', type=click.IntRange(0), help='Build for this accelerator.')
@click.option('--timing-cache', type=click.Path(path_type=Path), help='Makes later builds faster.')
@click.option('--device', type=click.IntRange(0), help='Ordinal of the GPU.')
@click.option(
    '--cuda',
    type=click.Choice(['auto', 'pycuda', 'cuda-bindings']),
    default='auto',
    show_default=True,
    help='Python layer for CUDA; makes no difference to the engine.',
)
@click.option('--out', type=click.Path(path_type=Path, dir_okay=False), help='File to write.')
@click.option('--publish-as', default='', help='Publish with the engine, as this version.')
@click.option('--cache-dir', type=click.Path(path_type=Path), help='As the parameter of the node.')
@stores_option
@json_option
def build_engine(
    model: str,
    out: Path | None,
    publish_as: str,
    cache_dir: Path | None,
    stores: LayeredStore,
    as_json: bool,
    **settings: Any,
) -> int:
    """Build the TensorRT engine of MODEL from its ONNX file.

    Engines belong to one TensorRT version and one kind of GPU: run this on the machine that
    serves. Without --out and --publish-as the engine goes into the cache where the node with the
    same precision looks for it. Ctrl-C cancels.
    """
    package = stores.resolve(model)
    _check_place(stores.own, package, Place(out, publish_as))
    verify_artifacts(package)
    options = _compile_options(settings)
    artifact = package.artifact_for([ArtifactFormat.ONNX])
    backend = _backend()
    plan = backend.build_plan(artifact, package.manifest.spec, options)
    if not as_json:
        _show_trtexec(plan, out or Path(f'{package.manifest.spec.name}.plan'))
    begin_s = time.monotonic()
    with _temporary_or(cache_dir, Place(out, publish_as)) as root, _watched() as on_build:
        cache = BuildCache(root, limit_bytes=CACHE_LIMIT_BYTES)
        builds = EngineBuilds(cache, options, 'on_demand', threading.Event(), on_build)
        engine = builds.engine(package, backend, artifact).file
        document = _document(package, plan, engine, time.monotonic() - begin_s)
        document |= _placed(stores.own, package, engine, Place(out, publish_as))
    _show(document, as_json=as_json)
    return 0


def _check_place(store: ModelStore, package: ModelPackage, place: Place) -> None:
    """Refuse before the build, which takes minutes, what could not be put where it is to go."""
    if place.version and not is_version(place.version):
        raise click.BadParameter(f'{place.version!r} is neither an integer nor MAJOR.MINOR.PATCH')
    name = package.manifest.spec.name
    if place.version and os.path.lexists(store.root / name / place.version):
        raise StoreError(
            f'{name}@{place.version} is in the store already',
            expected='a new version: a published one never changes',
        )
    folder = None if place.out is None else place.out.absolute().parent
    if folder is not None and not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise click.BadParameter(f'{folder} is no folder that this user can write to')


def _backend() -> BuildsEngines:
    choice = choose('tensorrt', [ArtifactFormat.ONNX])
    return cast(BuildsEngines, choice.backend)


def _compile_options(settings: dict[str, Any]) -> CompileOptions:
    names = {
        'workspace': 'workspace_mib',
        'opt_level': 'optimisation_level',
        'dla_core': 'dla_core',
        'timing_cache': 'timing_cache',
        'cuda': 'cuda',
    }
    extra = tuple(
        (name, str(settings[option]))
        for option, name in names.items()
        if settings[option] is not None
    )
    device = settings['device']
    return CompileOptions(
        device='AUTO' if device is None else f'GPU.{device}',
        precision=settings['precision'],
        extra=extra,
    )


@contextmanager
def _temporary_or(cache_dir: Path | None, place: Place) -> Iterator[Path]:
    """Give the folder to build in: the node's cache, unless the engine goes elsewhere."""
    if place == Place(None, '') or cache_dir is not None:
        settings = SegmentationSettings.from_values({'cache_dir': str(cache_dir or '')})
        folder = settings.cache_directory()
        if folder is None:
            raise click.BadParameter(
                "with cache_dir 'none' the node keeps no engine; use --out or --publish-as"
            )
        yield folder
        return
    with TemporaryDirectory() as temporary:
        yield Path(temporary)


@contextmanager
def _watched() -> Iterator[OnBuild]:
    """Give a function that shows progress: a bar on a terminal, else a line now and then."""
    if not sys.stderr.isatty():
        yield _lines()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = TextColumn('{task.description}'), BarColumn(), TaskProgressColumn()
    console = Console(stderr=True)
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bars:
        task = bars.add_task('starting', total=None)

        def move(progress: BuildProgress) -> None:
            share = progress.share
            bars.update(task, description=progress.phase)
            if share is not None:
                bars.update(task, completed=100 * share, total=100)

        yield move


def _lines() -> OnBuild:
    told_s = -LINE_PERIOD_S

    def tell(progress: BuildProgress) -> None:
        nonlocal told_s
        if progress.elapsed_s - told_s >= LINE_PERIOD_S:
            told_s = progress.elapsed_s
            click.echo(str(progress), err=True)

    return tell


def _placed(
    store: ModelStore, package: ModelPackage, engine: Path, place: Place
) -> dict[str, str]:
    placed = {'engine': str(engine)} if place == Place(None, '') else {}
    if place.out is not None:
        placed['engine'] = str(take_engine(engine, place.out))
    if place.version:
        published = publish_engine(store, package, engine, place.version)
        placed['published'] = published.identity
    return placed


def _document(
    package: ModelPackage, plan: BuildPlan, engine: Path, elapsed_s: float
) -> dict[str, Any]:
    record = read_record(engine)
    if record is None:
        raise BackendUnavailable(
            f'{record_path(engine)} is gone', remedy='another node trimmed the cache: build again'
        )
    lines = plan.trtexec(engine)
    return {
        'model': package.identity,
        'precision': record.key.precision,
        'device': str(plan.device),
        'tensorrt': record.key.machine.tensorrt,
        'size': engine.stat().st_size,
        'sha256': record.plan_sha256,
        'elapsed_s': round(elapsed_s, 1),
        'trtexec_10': lines.tensorrt_10,
        'trtexec_11': lines.tensorrt_11,
    }


def _show_trtexec(plan: BuildPlan, out: Path) -> None:
    lines = plan.trtexec(out)
    needs = (
        f'needs a file in {plan.limits.precision.effective}: TensorRT 11 has no precision flags'
    )
    click.echo(f'TensorRT 10: {lines.tensorrt_10}')
    click.echo(f'TensorRT 11: {lines.tensorrt_11 or needs}')


def _show(document: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_json(document)
        return
    shown = {key: str(value) for key, value in document.items() if 'trtexec' not in key}
    shown['size'] = in_bytes(document['size'])
    show_pairs([(name.replace('_', ' '), value) for name, value in shown.items()])
