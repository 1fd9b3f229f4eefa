"""Networks of one layer that name the colour of each pixel, so that every mask is known exactly.

The five classes are dark, red, green, blue and bright. One 1x1 convolution scores them; the
network is half as wide and high as a 320x240 image, and a quarter of 640x480, so that blocks of
colour at even places come back without a wrong pixel.
"""

from collections.abc import Sequence
import hashlib
from pathlib import Path
from typing import Any

from edge_seg.models.store import ModelStore
import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto
import yaml

WIDTH, HEIGHT = 160, 120
NAMES = ('dark', 'red', 'green', 'blue', 'bright')
COLOURS = ((20, 20, 20), (220, 30, 30), (30, 220, 30), (30, 30, 220), (235, 235, 235))
"""What the camera sees of each class."""
PAINTS = ((0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255))
"""What the manifest paints each class with."""
SHARPNESS = 8.0
# Scores of a pixel (r, g, b) in 0-1: dark 0.25, red r-g-b, ..., bright r+g+b-1.5.
WEIGHTS = SHARPNESS * np.float32([[0, 0, 0], [1, -1, -1], [-1, 1, -1], [-1, -1, 1], [1, 1, 1]])
BIASES = SHARPNESS * np.float32([0.25, 0, 0, 0, -1.5])


def confidence_of(colour: Sequence[int]) -> int:
    """Give 255 times the softmax probability of the winner, worked out by hand."""
    scores = WEIGHTS @ (np.float64(colour) / 255) + BIASES
    powers = np.exp(scores - scores.max())
    return round(255 * powers.max() / powers.sum())


def publish_colours(
    store: ModelStore, folder: Path, version: int, *, name: str = 'colours', shift: int = 0
) -> None:
    """Publish ``colours@version``, whose ids are moved on by ``shift`` places."""
    order = [(index - shift) % len(NAMES) for index in range(len(NAMES))]
    _publish(
        store,
        folder / f'{name}{version}',
        _convolution(WEIGHTS[order], BIASES[order]),
        name=name,
        version=version,
        classes=[(NAMES[index], PAINTS[index]) for index in order],
    )


def publish_misleading(store: ModelStore, folder: Path) -> None:
    """Publish ``misleading@1``: the classes of ``colours@1``, given to the wrong colours."""
    _publish(
        store,
        folder / 'misleading',
        _convolution(np.roll(WEIGHTS, 1, axis=0), np.roll(BIASES, 1)),
        name='misleading',
        version=1,
        classes=list(zip(NAMES, PAINTS, strict=True)),
    )


def publish_many_classes(store: ModelStore, folder: Path) -> None:
    """Publish ``many@1``: 300 classes, of which the last five are those of the colours."""
    silent = 300 - len(NAMES)
    weights = np.concatenate([np.zeros((silent, 3), np.float32), WEIGHTS])
    biases = np.concatenate([np.full(silent, -50, np.float32), BIASES])
    classes = [(f'unused {index}', (1, 1, 1)) for index in range(silent)]
    classes += list(zip(NAMES, PAINTS, strict=True))
    _publish(
        store,
        folder / 'many',
        _convolution(weights, biases),
        name='many',
        version=1,
        classes=classes,
    )


def publish_not_a_number(store: ModelStore, folder: Path) -> None:
    """Publish ``nan@1``, whose scores are no numbers."""
    _publish(
        store,
        folder / 'nan',
        _convolution(WEIGHTS * np.float32('nan'), BIASES),
        name='nan',
        version=1,
        classes=list(zip(NAMES, PAINTS, strict=True)),
    )


def publish_slow(store: ModelStore, folder: Path) -> None:
    """Publish ``slow@1``, whose warm-up takes long where many runs are asked for."""
    wide = 96
    rng = np.random.default_rng(0)
    first = rng.normal(0, 0.1, (wide, 3, 3, 3)).astype(np.float32)
    second = rng.normal(0, 0.1, (wide, wide, 3, 3)).astype(np.float32)
    last = rng.normal(0, 0.1, (len(NAMES), wide, 1, 1)).astype(np.float32)
    nodes = [
        helper.make_node('Conv', ['image', 'first'], ['a'], pads=[1, 1, 1, 1]),
        helper.make_node('Conv', ['a', 'second'], ['b'], pads=[1, 1, 1, 1]),
        helper.make_node('Conv', ['b', 'last'], ['scores']),
    ]
    _publish(
        store,
        folder / 'slow',
        _network(nodes, {'first': first, 'second': second, 'last': last}, len(NAMES)),
        name='slow',
        version=1,
        classes=list(zip(NAMES, PAINTS, strict=True)),
    )


def copy_half(store: ModelStore, folder: Path) -> Path:
    """Copy ``colours@1`` to a folder, its network only in part; gives the folder."""
    source = store.resolve('colours@1').path
    folder.mkdir(parents=True)
    (folder / 'manifest.yaml').write_bytes((source / 'manifest.yaml').read_bytes())
    (folder / 'network.onnx').write_bytes((source / 'network.onnx').read_bytes()[:100])
    return folder


def publish_damaged(store: ModelStore, folder: Path) -> None:
    """Publish ``damaged@1`` and change a byte of its network; the length stays."""
    _publish(
        store,
        folder / 'damaged',
        _convolution(WEIGHTS, BIASES),
        name='damaged',
        version=1,
        classes=list(zip(NAMES, PAINTS, strict=True)),
    )
    network = store.resolve('damaged@1').path / 'network.onnx'
    content = bytearray(network.read_bytes())
    content[len(content) // 2] ^= 0xFF
    network.chmod(0o644)
    network.write_bytes(content)


def _convolution(weights: Any, biases: Any) -> bytes:
    node = helper.make_node('Conv', ['image', 'weights', 'biases'], ['scores'])
    constants = {'weights': weights.reshape(len(weights), 3, 1, 1), 'biases': biases}
    return _network([node], constants, len(weights))


def _network(nodes: Sequence[Any], constants: dict[str, Any], classes: int) -> bytes:
    graph = helper.make_graph(
        list(nodes),
        'colours',
        [helper.make_tensor_value_info('image', TensorProto.FLOAT, [1, 3, HEIGHT, WIDTH])],
        [helper.make_tensor_value_info('scores', TensorProto.FLOAT, [1, classes, HEIGHT, WIDTH])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _publish(
    store: ModelStore,
    folder: Path,
    network: bytes,
    *,
    name: str,
    version: int,
    classes: Sequence[tuple[str, tuple[int, int, int]]],
) -> None:
    folder.mkdir(parents=True)
    (folder / 'network.onnx').write_bytes(network)
    file = {'path': 'network.onnx', 'sha256': hashlib.sha256(network).hexdigest()}
    document = {
        'schema': 1,
        'name': name,
        'version': version,
        'artifacts': [{'format': 'onnx', 'files': [{**file, 'size': len(network)}]}],
        'input': {'name': 'image', 'width': WIDTH, 'height': HEIGHT},
        'output': {'name': 'scores', 'kind': 'logits'},
        'classes': [{'name': label, 'color': list(color)} for label, color in classes],
        'licence': 'Apache-2.0',
    }
    (folder / 'manifest.yaml').write_text(yaml.safe_dump(document), 'utf-8')
    store.publish(folder)
