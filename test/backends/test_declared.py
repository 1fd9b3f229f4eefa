"""What a manifest declares, against what the file has: each difference is named."""

from pathlib import Path

from edge_seg.backends.base import CompileOptions
from edge_seg.backends.registry import create
from edge_seg.core.values import InputSpec, ModelSpec, OutputKind, OutputSpec, Size
from edge_seg.errors import IncompatibleModel
import onnx
from onnx import helper, TensorProto
import pytest
from tiny_models import TinyModel

BACKENDS = pytest.mark.parametrize('backend', ['openvino', 'opencv'])
FILE = TinyModel(size=Size(12, 8))


def _refusal(backend: str, artifact: Path, spec: ModelSpec) -> IncompatibleModel:
    with pytest.raises(IncompatibleModel) as refusal:
        create(backend).compile_model(artifact, spec, CompileOptions())
    return refusal.value


def _spec(model: TinyModel, **changes: object) -> ModelSpec:
    """Give the spec of a model with other names in it."""
    spec = model.spec
    names = {'input': spec.input.name, 'output': spec.output.name} | changes
    described = (spec.input.size, spec.input.layout, spec.input.dtype, spec.input.color_order)
    return ModelSpec(
        spec.name,
        spec.version,
        InputSpec(str(names['input']), *described, mean=spec.input.mean, std=spec.input.std),
        OutputSpec(str(names['output']), spec.output.kind, spec.output.layout),
        spec.classes,
    )


@BACKENDS
def test_a_wrong_input_name_is_answered_with_the_names_there_are(
    backend: str, tmp_path: Path
) -> None:
    artifact = FILE.save(tmp_path / 'tiny.onnx')
    refusal = _refusal(backend, artifact, _spec(FILE, input='images'))
    assert 'tiny.onnx has the inputs image float32 [1,3,8,12]' in str(refusal)
    assert "expected an input 'images'" in str(refusal)
    assert 'input.name' in refusal.remedy


@BACKENDS
def test_a_wrong_output_name_is_answered_with_the_names_there_are(
    backend: str, tmp_path: Path
) -> None:
    model = FILE.but(extra_outputs=True)
    artifact = model.save(tmp_path / 'tiny.onnx')
    refusal = _refusal(backend, artifact, _spec(model, output='logits'))
    assert 'features float32 [1,3,8,12], scores float32 [1,3,8,12]' in refusal.met
    assert 'output.name' in refusal.remedy


@BACKENDS
@pytest.mark.parametrize(
    ('declared', 'met', 'remedy'),
    [
        (FILE.but(size=Size(8, 12)), '[1,3,8,12]', 'input.size'),
        (FILE.but(size=Size(24, 16)), '[1,3,8,12]', 'input.size'),
        (FILE.but(color_order='gray'), '[1,3,8,12]', 'input.color_order'),
        (FILE.but(input_layout='NHWC'), '[1,3,8,12]', 'set input.layout: NCHW'),
        (FILE.but(input_dtype='uint8'), 'float32', 'input.dtype'),
        (FILE.but(input_dtype='float16'), 'float32', 'input.dtype'),
        (FILE.but(classes=4), 'scores float32 [1,3,8,12]', 'classes'),
        (FILE.but(output_layout='NHWC'), 'scores float32 [1,3,8,12]', 'output.layout'),
        (FILE.but(kind=OutputKind.LABELS), 'float32', 'output.kind'),
        (FILE.but(kind=OutputKind.SIGMOID), 'scores float32 [1,3,8,12]', 'output.kind'),
    ],
)
def test_a_wrong_declaration_is_refused_with_what_the_file_has(
    backend: str, declared: TinyModel, met: str, remedy: str, tmp_path: Path
) -> None:
    artifact = FILE.save(tmp_path / 'tiny.onnx')
    refusal = _refusal(backend, artifact, declared.spec)
    assert met in refusal.met
    assert remedy in refusal.remedy
    assert 'tiny.onnx' in refusal.met


@BACKENDS
def test_labels_declared_as_scores_are_refused(backend: str, tmp_path: Path) -> None:
    file = FILE.but(kind=OutputKind.LABELS)
    artifact = file.save(tmp_path / 'tiny.onnx')
    refusal = _refusal(backend, artifact, FILE.spec)
    assert "output 'scores' is int64" in refusal.met
    assert 'float' in refusal.expected


@BACKENDS
def test_open_axes_do_not_make_a_wrong_layout_right(backend: str, tmp_path: Path) -> None:
    artifact = FILE.but(dynamic=True).save(tmp_path / 'tiny.onnx')
    refusal = _refusal(backend, artifact, FILE.but(input_layout='NHWC').spec)
    assert 'image float32 [?,3,?,?]' in refusal.met
    assert refusal.remedy == 'set input.layout: NCHW'


@BACKENDS
def test_a_second_input_is_refused(backend: str, tmp_path: Path) -> None:
    proto = FILE.proto()
    proto.graph.input.append(helper.make_tensor_value_info('depth', TensorProto.FLOAT, [1, 1]))
    proto.graph.output.append(helper.make_tensor_value_info('deep', TensorProto.FLOAT, [1, 1]))
    proto.graph.node.append(helper.make_node('Identity', ['depth'], ['deep']))
    onnx.save(proto, str(tmp_path / 'tiny.onnx'))

    refusal = _refusal(backend, tmp_path / 'tiny.onnx', FILE.spec)

    assert '2 inputs: image float32 [1,3,8,12], depth float32 [1,1]' in refusal.met


@BACKENDS
def test_a_batch_of_two_is_refused(backend: str, tmp_path: Path) -> None:
    proto = FILE.proto()
    for port in (proto.graph.input[0], proto.graph.output[0]):
        port.type.tensor_type.shape.dim[0].dim_value = 2
    onnx.save(proto, str(tmp_path / 'tiny.onnx'))

    refusal = _refusal(backend, tmp_path / 'tiny.onnx', FILE.spec)

    assert '[2,3,8,12]' in refusal.met
    assert '[1,3,8,12]' in refusal.expected


def test_an_output_whose_size_depends_on_the_data_is_refused(tmp_path: Path) -> None:
    proto = FILE.proto()
    # The indices of everything above zero: as many as there happen to be.
    proto.graph.node[-1].output[0] = 'plain'
    proto.graph.node.append(helper.make_node('NonZero', ['plain'], ['found']))
    proto.graph.node.append(helper.make_node('Cast', ['found'], ['scores'], to=1))
    del proto.graph.output[0].type.tensor_type.shape.dim[:]
    proto.graph.output[0].type.tensor_type.ClearField('shape')
    onnx.save(proto, str(tmp_path / 'tiny.onnx'))

    refusal = _refusal('openvino', tmp_path / 'tiny.onnx', FILE.spec)

    assert 'whose size depends on the data' in refusal.met
    assert 'scores float32 [4,?]' in refusal.met


def test_a_network_that_cannot_take_the_declared_size_is_refused(tmp_path: Path) -> None:
    model = FILE.but(dynamic=True)
    proto = model.proto()
    shape = helper.make_tensor('fixed', TensorProto.INT64, [4], [1, 3, 64, 64])
    proto.graph.initializer.append(shape)
    proto.graph.node[-1].output[0] = 'plain'
    proto.graph.node.append(helper.make_node('Reshape', ['plain', 'fixed'], ['scores']))
    onnx.save(proto, str(tmp_path / 'tiny.onnx'))

    refusal = _refusal('openvino', tmp_path / 'tiny.onnx', model.spec)

    assert 'tiny.onnx cannot run at 12x8' in refusal.met
    assert 'input.size' in refusal.remedy


def test_mean_and_std_that_do_not_fit_the_channels_are_refused(tmp_path: Path) -> None:
    artifact = FILE.save(tmp_path / 'tiny.onnx')
    spec = FILE.but(mean=(0.1, 0.2)).spec
    refusal = _refusal('openvino', artifact, spec)
    assert refusal.met == 'input.mean has 2 values'
    assert refusal.expected == '3 (rgb)'
