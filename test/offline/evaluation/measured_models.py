"""Models and pictures for measuring: their masks can be worked out by hand."""

from dataclasses import replace
import hashlib
from pathlib import Path

import cv2
from edge_seg.core.values import ArtifactFormat, ClassInfo, InputSpec, ModelSpec, OutputSpec, Size
from edge_seg.models.layered import LayeredStore
from edge_seg.models.manifest import Artifact, ArtifactFile, Manifest, MANIFEST_NAME
from edge_seg.models.manifest_writer import dump_manifest
from edge_seg.models.store import ModelPackage
import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper, TensorProto

SIZE = Size(64, 48)
NAMES = ('red', 'green', 'blue')
SPEC = ModelSpec(
    'colours',
    '1',
    InputSpec('image', SIZE),
    OutputSpec('scores'),
    tuple(ClassInfo(name, (90 * i, 40, 200)) for i, name in enumerate(NAMES)),
)
"""A network that takes each pixel for the colour that it has most of."""

Array = npt.NDArray[np.float32]


def network(*layers: tuple[str, Array], size: Size = SIZE) -> onnx.ModelProto:
    """Chain convolutions, a Relu between them.

    Args:
        layers: name and kernel (out, in, h, w) of each; depthwise with one channel in.
        size: of input and output.
    """
    nodes, weights, value = [], [], 'image'
    for number, (name, kernel) in enumerate(layers):
        weights.append(numpy_helper.from_array(kernel.astype(np.float32), f'{name}_kernel'))
        last = number == len(layers) - 1
        made = 'scores' if last else f'{name}_out'
        pad = kernel.shape[2] // 2
        group = len(kernel) if kernel.shape[1] == 1 else 1
        inputs = [value, f'{name}_kernel']
        nodes.append(helper.make_node('Conv', inputs, [made], name, pads=[pad] * 4, group=group))
        if not last:
            nodes.append(helper.make_node('Relu', [made], [f'{name}_relu'], f'{name}_relu'))
        value = f'{name}_relu'
    shape = (1, 3, size.height, size.width)
    scores = (1, len(layers[-1][1]), size.height, size.width)
    graph = helper.make_graph(
        nodes,
        'measured',
        [helper.make_tensor_value_info('image', TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info('scores', TensorProto.FLOAT, scores)],
        weights,
    )
    opset = helper.make_opsetid('', 17)
    return helper.make_model(graph, opset_imports=[opset], ir_version=8)


def colours() -> onnx.ModelProto:
    """Give the network of ``SPEC``, in three layers so that there is something to quantise."""
    same = np.eye(3, dtype=np.float32)[:, :, None, None]
    first = np.zeros((8, 3, 3, 3), np.float32)
    first[:3, :, 1, 1] = np.eye(3)
    return network(('first', first), ('second', same[:, [0, 1, 2, 0, 0, 0, 0, 0]] * _mask()))


def depthwise() -> onnx.ModelProto:
    """Give the network of ``SPEC`` with a depthwise layer in the middle."""
    first, middle = np.zeros((8, 3, 1, 1), np.float32), np.zeros((8, 1, 3, 3), np.float32)
    first[:3, :, 0, 0], middle[:, 0, 1, 1] = np.eye(3), 1
    last = np.zeros((3, 8, 1, 1), np.float32)
    last[:, :3, 0, 0] = np.eye(3)
    return network(('first', first), ('middle', middle), ('last', last))


def fragile() -> onnx.ModelProto:
    """Give a network that INT8 ruins: beside small values, one channel has huge ones."""
    sound = np.zeros((3, 3, 3, 3), np.float32)
    sound[:, :, 1, 1] = np.eye(3)
    first = np.zeros((8, 3, 1, 1), np.float32)
    first[0, :, 0, 0], first[1], first[2, :, 0, 0] = (1, -1, 0), 500, (0, 1, -1)
    second = np.zeros((3, 8, 3, 3), np.float32)
    second[0, 0, 1, 1] = second[1, 2, 1, 1] = 1
    return network(('sound', sound), ('first', first), ('second', second))


def _mask() -> Array:
    kept = np.zeros((1, 8, 1, 1), np.float32)
    kept[0, :3] = 1
    return kept


def publish(
    stores: LayeredStore,
    folder: Path,
    model: onnx.ModelProto,
    *,
    spec: ModelSpec = SPEC,
    version: str = '1',
) -> ModelPackage:
    """Put a network into the store, with files in ``folder`` meanwhile."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(folder / 'network.onnx'))
    return publish_files(
        stores, folder, ArtifactFormat.ONNX, ('network.onnx',), spec=replace(spec, version=version)
    )


def publish_files(
    stores: LayeredStore,
    folder: Path,
    artifact_format: ArtifactFormat,
    names: tuple[str, ...],
    *,
    spec: ModelSpec,
) -> ModelPackage:
    """Put files that are there into the store."""
    files = tuple(
        ArtifactFile(name, hashlib.sha256((folder / name).read_bytes()).hexdigest())
        for name in names
    )
    manifest = Manifest(spec, (Artifact(artifact_format, files),), 'MIT')
    (folder / MANIFEST_NAME).write_bytes(dump_manifest(manifest))
    return stores.own.publish(folder)


def picture(seed: int, size: Size = SIZE) -> npt.NDArray[np.uint8]:
    """Give (H, W, 3) random BGR pixels, no two channels of a pixel the same."""
    rng = np.random.default_rng(seed)
    order = rng.permuted(np.tile([20, 120, 220], (size.height * size.width, 1)), axis=1)
    return order.reshape(size.height, size.width, 3).astype(np.uint8)


def mask_of(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Give the mask that the network of ``SPEC`` makes of a BGR picture of its own size."""
    return pixels[:, :, ::-1].argmax(axis=2).astype(np.uint8)


def labelled_folder(root: Path, *, count: int = 4, wrong: int = 0) -> Path:
    """Write pictures and their label maps.

    Args:
        root: gets ``images`` and ``labels``.
        count: pictures.
        wrong: rows of each label map that say 'red' whatever is there.
    """
    (root / 'images').mkdir(parents=True)
    (root / 'labels').mkdir()
    for seed in range(count):
        pixels = picture(seed)
        labels = mask_of(pixels)
        labels[:wrong] = 0
        assert cv2.imwrite(str(root / 'images' / f'{seed}.png'), pixels)
        assert cv2.imwrite(str(root / 'labels' / f'{seed}.png'), labels)
    return root
