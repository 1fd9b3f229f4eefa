"""Model stores for benchmarks: two good versions of one model, and models that must be refused."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
import hashlib
from pathlib import Path
import shutil
from typing import Any

from edge_seg.cli.bench.result import MeasurementFailed
from edge_seg.models.manifest import ArtifactFile, Manifest
from edge_seg.models.manifest_writer import dump_manifest
from edge_seg.models.package import ModelPackage
from edge_seg.models.share import share_path
from edge_seg.models.store import ModelStore
import numpy as np

NAME = 'floor'
FIRST, SECOND = f'{NAME}@1', f'{NAME}@2'
DAMAGED_FROM = 101
GOLDEN_SHIFT = 1

Network = Any
Change = Callable[[Network], None]


@dataclass(frozen=True, slots=True)
class BadModel:
    """A request that must be refused, and the stage that must refuse it.

    Attributes:
        request: what to ask for.
        stage: where it must fail.
        what: what is wrong with it.
        oversized: its compiled form is made to look larger than the memory before each request.
    """

    request: str
    stage: str
    what: str
    oversized: Path | None = None


def good_store(root: Path) -> ModelStore:
    """Make a store with floor@1 and floor@2, from the demo model that is installed.

    When only one version of it is installed, the other one is made from it, with weights that
    differ a little: of the same size and speed, and with nearly the same masks.
    """
    installed = ModelStore(share_path('models'))
    packages = [
        entry.package
        for entry in installed.entries()
        if entry.package is not None and entry.name == NAME
    ]
    if not packages:
        raise MeasurementFailed(
            f'no model {NAME} is installed', remedy='run tools/train_demo_model.py'
        )
    shutil.rmtree(root, ignore_errors=True)
    first, second = packages[0], packages[-1]
    copy_as(first, root, '1')
    copy_as(second, root, '2', change=nudge if first is second else None, golden=True)
    return ModelStore(root)


def bad_models(store: ModelStore) -> tuple[BadModel, ...]:
    """Add models to the store that are refused, one for each stage that a model can fail at."""
    good = store.resolve(FIRST)
    versions = iter(range(DAMAGED_FROM, DAMAGED_FROM + 100))
    bad = [BadModel(f'{NAME}@99', 'resolve', 'a version that does not exist')]

    def add(stage: str, what: str, **how: Any) -> Path:
        version = str(next(versions))
        folder = copy_as(good, store.root, version, **how)
        bad.append(BadModel(f'{NAME}@{version}', stage, what))
        return folder

    folder = add('verify', 'an artifact that is not the one that was published')
    network = folder / good.manifest.artifacts[0].main.path
    content = bytearray(network.read_bytes())
    content[len(content) // 2] ^= 0xFF
    network.write_bytes(content)
    add('build', 'a truncated network', content=lambda whole: whole[: len(whole) // 2])
    add('build', 'a network with another number of classes', change=drop_class)
    add('warm', 'NaN weights', change=poison)
    add('warm', 'another answer to the golden sample', change=rotate_classes, golden=True)
    add('probation', 'masks unlike those of the present model', change=rotate_classes)
    return tuple(bad)


def copy_as(
    package: ModelPackage,
    root: Path,
    version: str,
    *,
    change: Change | None = None,
    content: Callable[[bytes], bytes] | None = None,
    golden: bool = False,
) -> Path:
    """Write a package into a store under another version, its network changed.

    Args:
        package: what is copied.
        root: the store.
        version: new version.
        change: changes the parsed ONNX network.
        content: changes its bytes.
        golden: keep the golden sample of a changed network.

    Returns:
        The new folder.
    """
    folder = root / NAME / version
    shutil.copytree(package.path, folder)
    main = package.manifest.artifacts[0].main
    path = folder / main.path
    if change is not None:
        path.write_bytes(changed(path, change))
    if content is not None:
        path.write_bytes(content(path.read_bytes()))
    bytes_now = path.read_bytes()
    file = ArtifactFile(
        path=main.path, sha256=hashlib.sha256(bytes_now).hexdigest(), size=len(bytes_now)
    )
    artifact = replace(package.manifest.artifacts[0], files=(file,))
    keeps_golden = golden or (change is None and content is None)
    manifest: Manifest = replace(
        package.manifest,
        spec=replace(package.manifest.spec, name=NAME, version=version),
        artifacts=(artifact,),
        golden=package.manifest.golden if keeps_golden else None,
    )
    if package.manifest.golden is not None and not keeps_golden:
        for sample in (package.manifest.golden.image, package.manifest.golden.labels):
            (folder / sample.path).unlink()
    (folder / 'manifest.sig').unlink(missing_ok=True)
    (folder / 'manifest.yaml').write_bytes(dump_manifest(manifest))
    return folder


def changed(path: Path, change: Change) -> bytes:
    """Change an ONNX network.

    Raises:
        MeasurementFailed: the package onnx is missing.
    """
    try:
        import onnx
    except ImportError as error:
        raise MeasurementFailed(
            'the package onnx makes the broken models, and it is not installed',
            remedy='pip install onnx',
        ) from error
    network = onnx.load(str(path))
    change(network)
    return bytes(network.SerializeToString())


def nudge(network: Network) -> None:
    """Change every weight by up to a thousandth."""
    rng = np.random.default_rng(1)
    _map_weights(network, lambda w: w * (1 + 1e-3 * rng.uniform(-1, 1, w.shape)))


def poison(network: Network) -> None:
    """Make one weight of every filter bank NaN."""

    def spoil(weights: Any) -> Any:
        spoilt = weights.copy()
        spoilt.flat[0] = np.nan
        return spoilt

    _map_weights(network, spoil)


def rotate_classes(network: Network) -> None:
    """Let each class come out as the next one."""
    _gather(network, lambda classes: list(np.roll(np.arange(classes), GOLDEN_SHIFT)))


def drop_class(network: Network) -> None:
    """Leave the last class out."""
    _gather(network, lambda classes: list(range(classes - 1)))


def _map_weights(network: Network, function: Callable[[Any], Any]) -> None:
    from onnx import numpy_helper

    for tensor in network.graph.initializer:
        weights = numpy_helper.to_array(tensor)
        if weights.dtype == np.float32 and weights.ndim == 4:
            spoilt = np.asarray(function(weights), np.float32)
            tensor.CopyFrom(numpy_helper.from_array(spoilt, tensor.name))


def _gather(network: Network, indices: Callable[[int], list[int]]) -> None:
    """Put a choice of channels behind the output."""
    from onnx import helper, numpy_helper

    graph = network.graph
    output = graph.output[0]
    name = output.name
    classes = output.type.tensor_type.shape.dim[1].dim_value
    chosen = np.asarray(indices(classes), np.int64)
    for node in graph.node:
        for index, each in enumerate(node.output):
            if each == name:
                node.output[index] = f'{name}_before'
    graph.initializer.append(numpy_helper.from_array(chosen, f'{name}_chosen'))
    graph.node.append(
        helper.make_node('Gather', [f'{name}_before', f'{name}_chosen'], [name], axis=1)
    )
    output.type.tensor_type.shape.dim[1].dim_value = len(chosen)


def sizes(store: ModelStore) -> Mapping[str, int]:
    """Give the size of each good model's network in bytes."""
    return {
        request: store.resolve(request).manifest.artifacts[0].main.size or 0
        for request in (FIRST, SECOND)
    }
