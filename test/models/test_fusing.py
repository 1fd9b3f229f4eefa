"""A fused network takes pixels and gives the classes that the original gives for them."""

from dataclasses import replace
from pathlib import Path
import sys

from edge_seg.backends.base import CompileOptions
from edge_seg.backends.registry import create
from edge_seg.core.values import (
    ClassInfo,
    DecodedImage,
    InputSpec,
    LabelArray,
    ModelSpec,
    OutputKind,
    OutputSpec,
    Size,
)
from edge_seg.errors import CompileFailed, IncompatibleModel
from edge_seg.models.fusing import fuse
from edge_seg.runtime.frames.serving import ServingModel
from edge_seg.runtime.frames.stopwatch import Stopwatch
import numpy as np
import pytest

onnx = pytest.importorskip('onnx', reason='fusing is done with onnx')
pytest.importorskip('openvino', reason='OpenVINO compares fused and original')

SIZE = Size(16, 12)
PIXELS = np.random.default_rng(1).integers(0, 256, (SIZE.height, SIZE.width, 3), np.uint8)
KINDS = list(OutputKind)
TWO = (ClassInfo('no', (0, 0, 0)), ClassInfo('yes', (0, 255, 0)))
THREE = (*TWO, ClassInfo('maybe', (0, 0, 255)))


def spec_of(kind: OutputKind, *, layout: str = 'NCHW', color_order: str = 'rgb') -> ModelSpec:
    sigmoid = kind in (OutputKind.SIGMOID, OutputKind.SIGMOID_LOGITS)
    channels = 1 if color_order == 'gray' else 3
    return ModelSpec(
        'net',
        '1',
        InputSpec(
            'image',
            SIZE,
            layout=layout,
            color_order=color_order,
            mean=(0.4, 0.5, 0.6)[:channels],
            std=(0.2, 0.3, 0.25)[:channels],
        ),
        OutputSpec('scores', kind, layout=layout, threshold=0.4),
        TWO if sigmoid else THREE,
    )


def write(path: Path, spec: ModelSpec, *, dtype: str = 'float32', opset: int = 17) -> Path:
    """Write a 1x1 convolution, transposed where the layout asks for it, with a second output."""
    helper, proto = onnx.helper, onnx.TensorProto
    element = {'float32': proto.FLOAT, 'float16': proto.FLOAT16}[dtype]
    outputs = 1 if len(spec.classes) == 2 else 3
    channels = spec.input.channels
    weights = np.random.default_rng(2).normal(size=(outputs, channels, 1, 1))
    weights = (4 * weights).astype(dtype)
    nhwc = spec.input.layout == 'NHWC'
    nodes = [
        helper.make_node('Transpose', ['image'], ['x'], perm=[0, 3, 1, 2])
        if nhwc
        else helper.make_node('Identity', ['image'], ['x']),
        helper.make_node('Conv', ['x', 'w'], ['y']),
        helper.make_node(
            {OutputKind.SIGMOID: 'Sigmoid'}.get(spec.output.kind, 'Identity'), ['y'], ['z']
        ),
        helper.make_node('Transpose', ['z'], ['scores'], perm=[0, 2, 3, 1])
        if nhwc
        else helper.make_node('Identity', ['z'], ['scores']),
        helper.make_node('Relu', ['y'], ['features']),
    ]
    size = [SIZE.height, SIZE.width]
    shape = [1, *size, channels] if nhwc else [1, channels, *size]
    result = [1, *size, outputs] if nhwc else [1, outputs, *size]
    graph = helper.make_graph(
        nodes,
        'net',
        [helper.make_tensor_value_info('image', element, shape)],
        [
            helper.make_tensor_value_info('scores', element, result),
            helper.make_tensor_value_info('features', element, [1, outputs, *size]),
        ],
        [onnx.numpy_helper.from_array(weights, 'w')],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', opset)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


def labels(path: Path, spec: ModelSpec) -> LabelArray:
    compiled = create('openvino').compile_model(path, spec, CompileOptions(precision='fp32'))
    model = ServingModel(spec, compiled, sha256='')
    try:
        image = DecodedImage(PIXELS, 'rgb')
        return model.segment(image, confidence=False, watch=Stopwatch()).labels
    finally:
        model.close()


@pytest.mark.parametrize('layout', ['NCHW', 'NHWC'])
@pytest.mark.parametrize('color_order', ['rgb', 'bgr', 'gray'])
@pytest.mark.parametrize('kind', [kind for kind in KINDS if kind is not OutputKind.LABELS])
def test_the_fused_model_gives_the_same_classes(
    tmp_path: Path, kind: OutputKind, color_order: str, layout: str
) -> None:
    spec = spec_of(kind, layout=layout, color_order=color_order)
    source = write(tmp_path / 'net.onnx', spec)

    fused = fuse(source, tmp_path / 'fused.onnx', spec, keep_scores=False)

    assert (fused.input.dtype, fused.output.kind) == ('uint8', OutputKind.LABELS)
    expected = labels(source, spec)
    assert np.array_equal(labels(tmp_path / 'fused.onnx', fused), expected)
    assert len(np.unique(expected)) > 1


def test_half_precision_inputs_are_fused(tmp_path: Path) -> None:
    spec = spec_of(OutputKind.LOGITS)
    half = replace(spec, input=replace(spec.input, dtype='float16'))
    source = write(tmp_path / 'net.onnx', half, dtype='float16')

    fused = fuse(source, tmp_path / 'fused.onnx', half, keep_scores=False)

    assert np.array_equal(labels(tmp_path / 'fused.onnx', fused), labels(source, half))


def test_scores_can_be_kept(tmp_path: Path) -> None:
    spec = spec_of(OutputKind.LOGITS)
    source = write(tmp_path / 'net.onnx', spec)

    fused = fuse(source, tmp_path / 'fused.onnx', spec, keep_scores=True)

    assert fused.output == spec.output
    assert np.array_equal(labels(tmp_path / 'fused.onnx', fused), labels(source, spec))


def test_the_mask_leaves_through_float_as_tensorrt_asks(tmp_path: Path) -> None:
    spec = spec_of(OutputKind.LOGITS)
    fuse(write(tmp_path / 'net.onnx', spec), tmp_path / 'fused.onnx', spec, keep_scores=False)
    nodes = onnx.load(tmp_path / 'fused.onnx').graph.node

    operators = [node.op_type for node in nodes]
    assert operators[0] == 'Cast'
    assert operators[-3:] == ['ArgMax', 'Cast', 'Cast']
    assert [node.attribute[0].i for node in nodes[-2:]] == [1, 2]  # FLOAT, UINT8


def test_other_outputs_and_what_only_they_need_are_gone(tmp_path: Path) -> None:
    spec = spec_of(OutputKind.LOGITS)
    fuse(write(tmp_path / 'net.onnx', spec), tmp_path / 'fused.onnx', spec, keep_scores=False)
    graph = onnx.load(tmp_path / 'fused.onnx').graph

    assert [output.name for output in graph.output] == ['scores_labels']
    assert 'Relu' not in [node.op_type for node in graph.node]


def test_a_fused_model_is_not_fused_again(tmp_path: Path) -> None:
    spec = spec_of(OutputKind.LOGITS)
    fused = fuse(
        write(tmp_path / 'net.onnx', spec), tmp_path / 'fused.onnx', spec, keep_scores=False
    )

    with pytest.raises(IncompatibleModel, match='takes uint8 already'):
        fuse(tmp_path / 'fused.onnx', tmp_path / 'again.onnx', fused, keep_scores=False)


def test_a_graph_that_takes_bytes_is_refused_even_when_the_manifest_says_float(
    tmp_path: Path,
) -> None:
    spec = spec_of(OutputKind.LOGITS)
    fused = fuse(
        write(tmp_path / 'net.onnx', spec), tmp_path / 'fused.onnx', spec, keep_scores=True
    )
    wrong = replace(spec, input=replace(spec.input, name=fused.input.name))

    with pytest.raises(IncompatibleModel, match='is UINT8.*twice'):
        fuse(tmp_path / 'fused.onnx', tmp_path / 'again.onnx', wrong, keep_scores=True)


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'kind': OutputKind.LABELS}, 'a label map already'),
        ({'resample': 'logits'}, 'resample is logits'),
        ({'name': 'other'}, 'no output other'),
    ],
)
def test_outputs_that_cannot_be_fused_are_refused(
    tmp_path: Path, change: dict[str, object], words: str
) -> None:
    spec = spec_of(OutputKind.LOGITS)
    source = write(tmp_path / 'net.onnx', spec)
    wrong = replace(spec, output=replace(spec.output, **change))  # type: ignore[arg-type]

    with pytest.raises(IncompatibleModel, match=words):
        fuse(source, tmp_path / 'fused.onnx', wrong, keep_scores=False)


def test_an_old_opset_is_refused(tmp_path: Path) -> None:
    spec = spec_of(OutputKind.LOGITS)
    source = write(tmp_path / 'net.onnx', spec, opset=11)

    with pytest.raises(IncompatibleModel, match='opset 11'):
        fuse(source, tmp_path / 'fused.onnx', spec, keep_scores=False)


def test_a_file_that_is_no_onnx_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'net.onnx').write_bytes(b'\xff\xff no network')

    with pytest.raises(CompileFailed, match=r'net\.onnx is no ONNX file'):
        fuse(
            tmp_path / 'net.onnx',
            tmp_path / 'fused.onnx',
            spec_of(OutputKind.LOGITS),
            keep_scores=False,
        )


def test_the_package_does_not_need_onnx_until_it_fuses() -> None:
    assert 'onnx' in sys.modules  # imported by this test, not by the module's import
    assert not hasattr(sys.modules['edge_seg.models.fusing'], 'onnx')


def test_what_a_branch_within_a_branch_takes_from_outside_is_kept(tmp_path: Path) -> None:
    helper, proto = onnx.helper, onnx.TensorProto
    spec = spec_of(OutputKind.LOGITS)
    source = write(tmp_path / 'net.onnx', spec)
    model = onnx.load(source)

    def branch(name: str, node: 'onnx.NodeProto') -> 'onnx.GraphProto':
        value = helper.make_tensor_value_info(f'{name}_out', proto.FLOAT, None)
        return helper.make_graph([node], name, [], [value])

    def choice(name: str, *nodes: 'onnx.NodeProto') -> 'onnx.NodeProto':
        then, other = (branch(f'{name}_{i}', node) for i, node in enumerate(nodes))
        return helper.make_node(
            'If', ['yes'], [f'{name}_out'], then_branch=then, else_branch=other
        )

    def taking(name: str, source: str = 'deep') -> 'onnx.NodeProto':
        return helper.make_node('Identity', [source], [f'{name}_out'])

    inner = choice('a_0', taking('a_0_0'), taking('a_0_1'))
    outer = choice('a', inner, taking('a_1', 'scores_before'))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(True), 'yes'))
    for node in model.graph.node:
        node.output[:] = ['scores_before' if name == 'scores' else name for name in node.output]
    model.graph.node.extend(
        [
            helper.make_node('Identity', ['scores_before'], ['deep']),
            outer,
            helper.make_node('Identity', ['a_out'], ['scores']),
        ]
    )
    onnx.save(model, source)

    fused = fuse(source, tmp_path / 'fused.onnx', spec, keep_scores=False)

    assert np.array_equal(labels(tmp_path / 'fused.onnx', fused), labels(source, spec))


def test_a_network_that_is_too_large_for_one_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of(OutputKind.LOGITS)
    source = write(tmp_path / 'net.onnx', spec)
    monkeypatch.setattr('onnx.checker.MAXIMUM_PROTOBUF', 10)

    with pytest.raises(CompileFailed, match='less than 2 GB'):
        fuse(source, tmp_path / 'fused.onnx', spec, keep_scores=False)
