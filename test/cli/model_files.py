"""Model files for the tests of the commands, and options that describe them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

ANSWERS = (
    *('--classes', 'other,floor', '--kind', 'logits', '--color-order', 'rgb'),
    *('--normalise', 'unit', '--licence', 'MIT'),
)


def write_onnx(
    path: Path,
    image: tuple[Any, ...] = (1, 3, 32, 64),
    scores: tuple[Any, ...] = (1, 2, 32, 64),
    *,
    image_type: str = 'FLOAT',
    scores_type: str = 'FLOAT',
    names: tuple[str, ...] = ('image',),
) -> Path:
    """Write an ONNX file with these inputs and outputs, which need not fit each other."""
    onnx = pytest.importorskip('onnx', reason='onnx is needed to write a test model')
    types, helper = onnx.TensorProto, onnx.helper
    numpy_helper = pytest.importorskip('onnx.numpy_helper', reason='part of onnx')
    constant = numpy_helper.from_array(
        np.zeros([a if isinstance(a, int) else 1 for a in scores], np.float32), 'constant'
    )
    code = getattr(types, scores_type)
    nodes = [helper.make_node('Cast', ['constant'], ['scores'], to=code)]
    graph = helper.make_graph(
        nodes,
        'test',
        [helper.make_tensor_value_info(n, getattr(types, image_type), image) for n in names],
        [helper.make_tensor_value_info('scores', code, scores)],
        [constant],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8)
    onnx.save(model, path)
    return path


def write_segmenter(path: Path, *, classes: int = 2, weights: str = '') -> Path:
    """Write a network of 1x1 filters, whose classes depend on the colour of a pixel.

    Args:
        path: the .onnx file.
        classes: how many.
        weights: file to put the filters into, relative to that of the network; '' = inside.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx = pytest.importorskip('onnx', reason='onnx is needed to write a test model')
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    filters = np.random.default_rng(3).normal(size=(classes, 3, 1, 1)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node('Conv', ['image', 'filters'], ['scores'])],
        'test',
        [helper.make_tensor_value_info('image', float32, (1, 3, 32, 64))],
        [helper.make_tensor_value_info('scores', float32, (1, classes, 32, 64))],
        [onnx.numpy_helper.from_array(filters, 'filters')],
    )
    if weights:
        (path.parent / weights).parent.mkdir(exist_ok=True)
        (path.parent / weights).write_bytes(filters.tobytes())
        tensor = graph.initializer[0]
        tensor.ClearField('raw_data')
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key='location', value=weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path
