"""ONNX files of every kind, imported and computing what they computed before."""

from pathlib import Path

from edge_seg.core.values import ArtifactFormat, OutputKind, Size
from edge_seg.errors import (
    CompileFailed,
    IncompatibleModel,
    InferenceFailed,
    OptionInvalid,
    StoreError,
    UnsupportedNetwork,
)
from edge_seg.models.layered import LayeredStore
from edge_seg.offline.imports.given import GivenOptions
from edge_seg.offline.imports.importing import import_model, ImportRequest
from imported_models import assert_computes, Import, options_for, package_of, said
import numpy as np
import onnx
from onnx import helper, TensorProto
import openvino as ov
import pytest
from tiny_models import TinyModel

SIGMOIDS = (OutputKind.SIGMOID, OutputKind.SIGMOID_LOGITS)
MODELS = {
    'logits': TinyModel(),
    'logits nhwc': TinyModel(input_layout='NHWC', output_layout='NHWC'),
    'softmax inside': TinyModel(kind=OutputKind.PROBABILITIES),
    'softmax inside, nhwc': TinyModel(
        kind=OutputKind.PROBABILITIES, input_layout='NHWC', output_layout='NHWC'
    ),
    'sigmoid inside': TinyModel(kind=OutputKind.SIGMOID, classes=2),
    'sigmoid inside, no channel': TinyModel(
        kind=OutputKind.SIGMOID, classes=2, output_layout='HW'
    ),
    'one channel before the sigmoid': TinyModel(kind=OutputKind.SIGMOID_LOGITS, classes=2),
    'argmax inside, int64': TinyModel(kind=OutputKind.LABELS),
    'argmax inside, int32': TinyModel(
        kind=OutputKind.LABELS, label_dtype='int32', output_layout='NHW'
    ),
    'argmax inside, uint8': TinyModel(
        kind=OutputKind.LABELS, label_dtype='uint8', output_layout='HW'
    ),
    'float16': TinyModel(input_dtype='float16'),
    'uint8': TinyModel(input_dtype='uint8', input_layout='NHWC'),
    'gray': TinyModel(color_order='gray'),
    'no batch': TinyModel(batch=False),
    'no batch nhwc': TinyModel(batch=False, input_layout='NHWC', output_layout='NHWC'),
    'no batch labels': TinyModel(batch=False, kind=OutputKind.LABELS, output_layout='HW'),
}


@pytest.mark.parametrize('name', MODELS)
def test_a_network_computes_what_it_computed(name: str, tmp_path: Path, importing: Import) -> None:
    model = MODELS[name]
    known = options_for(model)
    if model.color_order == 'gray':
        del known['color_order']

    imported = importing(model.save(tmp_path / 'net.onnx'), **known)

    assert imported.spec.output.kind is model.kind
    assert imported.spec.input.layout == model.input_layout
    assert imported.spec.input.dtype == model.input_dtype
    assert_computes(imported, model, atol=2e-2 if model.input_dtype == 'float16' else 1e-4)


def test_a_file_that_needs_no_change_is_published_as_it_is(
    tmp_path: Path, importing: Import
) -> None:
    source = TinyModel().save(tmp_path / 'net.onnx')

    package = package_of(importing(source))

    assert (package.path / 'net.onnx').read_bytes() == source.read_bytes()
    fields = dict(package.manifest.provenance.fields)
    assert fields['imported_from'] == 'net.onnx'
    assert fields['source_sha256'] == package.manifest.artifacts[0].main.sha256


def test_open_axes_are_fixed_to_the_size_that_is_asked_for(
    tmp_path: Path, importing: Import
) -> None:
    model = TinyModel(dynamic=True)
    source = model.save(tmp_path / 'net.onnx')

    imported = importing(source, input_size='12x8', **options_for(model))

    assert imported.changes == ('the batch is fixed to 1', 'the size is fixed to 12x8')
    network = onnx.load(package_of(imported).path / 'net.onnx')
    axes = [dim.dim_value for dim in network.graph.input[0].type.tensor_type.shape.dim]
    assert axes == [1, 3, 8, 12]
    assert_computes(imported, model)


@pytest.mark.parametrize(
    ('model', 'size', 'message'),
    [
        (TinyModel(dynamic=True), None, 'leaves its size open; pass --input-size'),
        (TinyModel(), '24x16', '--input-size: the file fixes input'),
    ],
)
def test_a_size_that_is_missing_or_contradicts_is_refused(
    model: TinyModel, size: str | None, message: str, tmp_path: Path, importing: Import
) -> None:
    source = model.save(tmp_path / 'net.onnx')
    with pytest.raises(OptionInvalid, match=message):
        importing(source, input_size=size)


def test_weights_in_other_files_go_inside(tmp_path: Path, importing: Import) -> None:
    model = TinyModel()
    source = tmp_path / 'net.onnx'
    onnx.save(
        model.proto(), str(source), save_as_external_data=True, location='w.bin', size_threshold=0
    )
    assert (tmp_path / 'w.bin').is_file()

    imported = importing(source, **options_for(model))

    assert [file.path for file in package_of(imported).manifest.files()] == ['net.onnx']
    assert_computes(imported, model)


def test_weights_too_large_for_the_file_stay_beside_it(
    tmp_path: Path, importing: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('edge_seg.offline.imports.onnx_files.EMBEDDED_BYTES', 100)
    model = TinyModel(dynamic=True, classes=100, size=Size(40, 24))
    source = model.save(tmp_path / 'net.onnx')

    imported = importing(source, input_size='40x24', **options_for(model))

    files = [file.path for file in package_of(imported).manifest.files()]
    assert files == ['net.onnx', 'net.onnx.data']
    assert_computes(imported, model, atol=1e-3)


def test_one_of_several_outputs_is_kept(tmp_path: Path, importing: Import) -> None:
    model = TinyModel(extra_outputs=True)
    source = model.save(tmp_path / 'net.onnx')

    with pytest.raises(OptionInvalid, match=r'2 outputs: features float32 .*, scores .*--output'):
        importing(source)
    with pytest.raises(OptionInvalid, match=r"'mask' is none of the outputs features"):
        importing(source, output_name='mask')
    imported = importing(source, output_name='scores', **options_for(model))

    assert imported.changes == ('output features is left out',)
    assert_computes(imported, model)


def test_an_argmax_in_a_float_type_comes_as_integers(tmp_path: Path, importing: Import) -> None:
    model = TinyModel(kind=OutputKind.LABELS)
    proto = model.proto()
    proto.graph.node[-1].output[0] = 'ids'
    proto.graph.node.append(helper.make_node('Cast', ['ids'], ['scores'], to=TensorProto.FLOAT))
    proto.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
    onnx.save(proto, str(tmp_path / 'net.onnx'))

    imported = importing(tmp_path / 'net.onnx', **options_for(model))

    assert imported.spec.output.kind is OutputKind.LABELS
    assert imported.changes == ('the labels come as int32, not float32',)
    assert_computes(imported, model)


def test_the_highest_score_is_not_taken_for_the_class_that_has_it(
    tmp_path: Path, importing: Import
) -> None:
    highest = helper.make_node('TopK', ['x', 'one'], ['y', 'ids'], axis=1)
    source = graph_file(
        tmp_path / 'net.onnx', [highest], {'x': [1, 3, 8, 8]}, tensor([1, 1, 8, 8])
    )
    proto = onnx.load(source)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1]), 'one'))
    source.write_bytes(proto.SerializeToString())
    ov.save_model(ov.Core().read_model(str(source)), str(tmp_path / 'net.xml'))
    for name in ('net.onnx', 'net.xml'):
        imported = importing(tmp_path / name, publish=False)
        assert imported.spec.output.kind is OutputKind.SIGMOID_LOGITS
        assert not any('int32' in change for change in imported.changes)


def test_what_the_graph_does_last_says_what_its_output_means(
    tmp_path: Path, importing: Import
) -> None:
    model = TinyModel(kind=OutputKind.PROBABILITIES, classes=21)
    answers = said(importing(model.save(tmp_path / 'net.onnx'), publish=False))
    assert (answers['--kind'].value, answers['--kind'].assumed) == ('probabilities', False)
    assert (answers['--classes'].value, answers['--classes'].assumed) == ('pascal-voc', True)
    assert (answers['--normalise'].value, answers['--normalise'].assumed) == ('imagenet', True)


def noise_file(path: Path, scores: tuple[int, ...]) -> Path:
    """Write a network for 64x32 images whose scores have any shape."""
    noise = np.random.default_rng(0).normal(size=scores).astype('f4')
    nodes = [
        helper.make_node('ReduceMean', ['x'], ['mean'], keepdims=1),
        helper.make_node('Add', ['mean', 'noise'], ['y']),
    ]
    source = graph_file(path, nodes, {'x': [1, 3, 32, 64]}, tensor(list(scores)))
    network = onnx.load(source)
    network.graph.initializer.append(onnx.numpy_helper.from_array(noise, 'noise'))
    source.write_bytes(network.SerializeToString())
    return source


@pytest.mark.parametrize(
    ('scores', 'layout'),
    [((1, 150, 8, 16), 'NCHW'), ((1, 8, 16, 150), 'NHWC'), ((1, 16, 4, 8), 'NCHW')],
)
def test_more_classes_than_rows_are_told_from_them_by_the_shape_of_the_image(
    scores: tuple[int, ...], layout: str, tmp_path: Path, importing: Import
) -> None:
    imported = importing(noise_file(tmp_path / 'net.onnx', scores), publish=False)
    assert imported.spec.output.layout == layout
    assert len(imported.spec.classes) in scores


@pytest.mark.parametrize(('count', 'layout'), [(4, 'NCHW'), (16, 'NHWC')])
def test_the_classes_in_a_file_tell_where_the_shape_does_not(
    count: int, layout: str, tmp_path: Path, importing: Import
) -> None:
    (tmp_path / 'classes.txt').write_text('\n'.join(f'thing {i}' for i in range(count)))
    source = noise_file(tmp_path / 'net.onnx', (1, 4, 8, 16))
    imported = importing(source, classes=f'@{tmp_path}/classes.txt', publish=False)
    assert imported.spec.output.layout == layout


def test_the_argmax_tells_how_many_classes_there_are(tmp_path: Path, importing: Import) -> None:
    model = TinyModel(kind=OutputKind.LABELS, classes=19)
    imported = importing(model.save(tmp_path / 'net.onnx'), publish=False)
    assert said(imported)['--classes'].value == 'cityscapes'
    assert imported.spec.classes[0].name == 'road'


def test_a_graph_that_scales_its_pixels_gets_them_raw(tmp_path: Path, importing: Import) -> None:
    proto = TinyModel(input_dtype='uint8').proto()
    proto.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT
    onnx.save(proto, str(tmp_path / 'net.onnx'))
    imported = importing(tmp_path / 'net.onnx', publish=False)
    assert said(imported)['--normalise'].value == 'raw'
    assert (imported.spec.input.scale, imported.spec.input.mean) == (1.0, (0.0, 0.0, 0.0))


@pytest.mark.parametrize(
    ('key', 'value'),
    [('names', "{0: 'sky', 1: 'road', 2: 'car'}"), ('classes', '["sky", "road", "car"]')],
)
def test_names_written_into_the_file_are_taken(
    key: str, value: str, tmp_path: Path, importing: Import
) -> None:
    proto = TinyModel().proto()
    helper.set_model_props(proto, {key: value})
    onnx.save(proto, str(tmp_path / 'net.onnx'))
    imported = importing(tmp_path / 'net.onnx', publish=False)
    assert [info.name for info in imported.spec.classes] == ['sky', 'road', 'car']
    assert not said(imported)['--classes'].assumed


def test_scores_that_sum_to_one_without_a_softmax_are_pointed_out(
    tmp_path: Path, importing: Import
) -> None:
    proto = TinyModel().proto()
    graph = proto.graph
    graph.node[-1].output[0] = 'raw'
    for operator, inputs, output in (
        ('Exp', ['raw'], 'powers'),
        ('ReduceSum', ['powers', 'axis'], 'sum'),
        ('Div', ['powers', 'sum'], 'scores'),
    ):
        graph.node.append(helper.make_node(operator, inputs, [output]))
    graph.initializer.append(onnx.numpy_helper.from_array(np.array([1]), 'axis'))
    onnx.save(proto, str(tmp_path / 'net.onnx'))
    imported = importing(tmp_path / 'net.onnx', publish=False)
    assert imported.trial.notes == (
        'the scores of each pixel sum to 1: pass --kind probabilities',
    )


def graph_file(
    path: Path,
    nodes: list[onnx.NodeProto],
    inputs: dict[str, list[int | str]],
    output: onnx.ValueInfoProto,
    *,
    dtype: int = TensorProto.FLOAT,
) -> Path:
    """Write a graph; it may use the constants 'times' and 'rows'."""
    images = [helper.make_tensor_value_info(name, dtype, axes) for name, axes in inputs.items()]
    times = onnx.numpy_helper.from_array(np.array([1, 23333, 1, 1]), 'times')
    rows = onnx.numpy_helper.from_array(np.array([1, -1, 64]), 'rows')
    graph = helper.make_graph(nodes, 'test', images, [output], [times, rows])
    opsets = [helper.make_opsetid('', 13), helper.make_opsetid('com.plugin', 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def tensor(axes: list[int | str], dtype: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    """Describe the output 'y'."""
    return helper.make_tensor_value_info('y', dtype, axes)


RELU = helper.make_node('Relu', ['x'], ['y'])
UNSUPPORTED = {
    'several inputs': (
        [helper.make_node('Add', ['x', 'z'], ['y'])],
        {'x': [1, 3, 8, 8], 'z': [1, 3, 8, 8]},
        tensor([1, 3, 8, 8]),
        "output 'y' is computed from 2 inputs: x float32 .*, z float32",
    ),
    'volume': (
        [RELU],
        {'x': [1, 3, 8, 8, 8]},
        tensor([1, 3, 8, 8, 8]),
        r'input x .* has 5 axes; expected one image: 3 axes, or 4 with the batch; volumes',
    ),
    'feature vector': ([RELU], {'x': [1, 10]}, tensor([1, 10]), 'has 2 axes'),
    'four channels': ([RELU], {'x': [1, 4, 8, 8]}, tensor([1, 4, 8, 8]), 'has 4 channels'),
    'batch of four': ([RELU], {'x': [4, 3, 8, 8]}, tensor([4, 3, 8, 8]), 'takes 4 images at once'),
    'classifier': (
        [helper.make_node('GlobalAveragePool', ['x'], ['y'])],
        {'x': [1, 3, 8, 8]},
        tensor([1, 3, 1, 1]),
        'no map with a class for each pixel .it classifies whole pictures',
    ),
    'boxes': (
        [
            helper.make_node('Tile', ['x', 'times'], ['many']),
            helper.make_node('Reshape', ['many', 'rows'], ['y']),
        ],
        {'x': [1, 3, 8, 8]},
        tensor([1, 69999, 64]),
        "output 'y' is 64x69999, the image 8x8; expected a map with the proportions",
    ),
    'sequence': (
        [helper.make_node('SequenceConstruct', ['x'], ['y'])],
        {'x': [1, 3, 8, 8]},
        helper.make_tensor_sequence_value_info('y', TensorProto.FLOAT, None),
        "output 'y' is a sequence; expected a tensor",
    ),
    'too many classes': (
        [helper.make_node('Tile', ['x', 'times'], ['y'])],
        {'x': [1, 3, 8, 8]},
        tensor([1, 69999, 8, 8]),
        'has 69999 classes; expected at most 65535',
    ),
    'size that depends on the data': (
        [helper.make_node('NonZero', ['x'], ['y'])],
        {'x': [1, 3, 8, 8]},
        tensor([4, 'found'], TensorProto.INT64),
        'has a size that depends on what is in the picture',
    ),
    'operator that OpenVINO lacks': (
        [helper.make_node('MaxUnpool', ['x', 'x'], ['y'], kernel_shape=[2, 2])],
        {'x': [1, 3, 8, 8]},
        tensor([1, 3, 16, 16]),
        'operators that OpenVINO does not know: MaxUnpool-1',
    ),
    'operator of a plug-in': (
        [helper.make_node('DeformableConv', ['x'], ['y'], domain='com.plugin')],
        {'x': [1, 3, 8, 8]},
        tensor([1, 3, 8, 8]),
        'operators that ONNX does not define: com.plugin.DeformableConv',
    ),
}


@pytest.mark.parametrize('case', UNSUPPORTED)
def test_what_is_unsupported_is_said_precisely(
    case: str, tmp_path: Path, importing: Import
) -> None:
    nodes, inputs, output, message = UNSUPPORTED[case]
    source = graph_file(tmp_path / 'net.onnx', nodes, inputs, output)
    with pytest.raises(UnsupportedNetwork, match=message):
        importing(source)


def test_a_type_that_cannot_be_fed_is_refused(tmp_path: Path, importing: Import) -> None:
    double = TensorProto.DOUBLE
    source = graph_file(
        tmp_path / 'net.onnx', [RELU], {'x': [1, 3, 8, 8]}, tensor([1, 3, 8, 8], double),
        dtype=double,
    )  # fmt: skip
    with pytest.raises(UnsupportedNetwork, match='is float64; expected float32 or float16 or'):
        importing(source)


def test_an_input_that_the_output_does_not_need_is_left_out(
    tmp_path: Path, importing: Import
) -> None:
    source = graph_file(
        tmp_path / 'net.onnx', [RELU], {'x': [1, 3, 8, 8], 'seed': [1]}, tensor([1, 3, 8, 8])
    )
    extra = onnx.load(source)
    extra.graph.node.append(helper.make_node('Identity', ['seed'], ['noise']))
    extra.graph.output.append(helper.make_tensor_value_info('noise', TensorProto.FLOAT, [1]))
    source.write_bytes(extra.SerializeToString())
    imported = importing(source, output_name='y', publish=False)
    assert 'input seed is left out: nothing needs it' in imported.changes
    assert imported.spec.input.size == Size(8, 8)


def test_an_input_that_nothing_at_all_takes_is_left_out(tmp_path: Path, importing: Import) -> None:
    source = graph_file(
        tmp_path / 'net.onnx', [RELU], {'x': [1, 3, 8, 8], 'im_info': [1, 3]}, tensor([1, 3, 8, 8])
    )
    imported = importing(source)
    assert imported.changes == ('input im_info is left out: nothing needs it',)
    network = onnx.load(package_of(imported).path / 'net.onnx')
    assert [value.name for value in network.graph.input] == ['x']


def test_what_is_declared_is_compared_with_what_comes_out(
    tmp_path: Path, importing: Import
) -> None:
    labels = TinyModel(kind=OutputKind.LABELS, classes=9).save(tmp_path / 'labels.onnx')
    with pytest.raises(IncompatibleModel, match=r'has the class \d; expected 0 to 1'):
        importing(labels, classes='floor,wall')
    scores = TinyModel().save(tmp_path / 'scores.onnx')
    with pytest.raises(IncompatibleModel, match=r'values from .* pass --kind logits'):
        importing(scores, output_kind='probabilities')


def test_scores_that_are_no_numbers_are_refused(tmp_path: Path, importing: Import) -> None:
    proto = TinyModel().proto()
    for weights in proto.graph.initializer:
        broken = np.full(onnx.numpy_helper.to_array(weights).shape, np.nan, 'f4')
        weights.CopyFrom(onnx.numpy_helper.from_array(broken, weights.name))
    onnx.save(proto, str(tmp_path / 'net.onnx'))
    with pytest.raises(InferenceFailed, match='NaN'):
        importing(tmp_path / 'net.onnx')


def test_a_file_that_leads_outside_its_folder_is_refused(
    tmp_path: Path, importing: Import
) -> None:
    proto = TinyModel().proto()
    weights = proto.graph.initializer[0]
    weights.ClearField('raw_data')
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key='location', value='../secret')
    (tmp_path / 'net.onnx').write_bytes(proto.SerializeToString())
    with pytest.raises(CompileFailed, match=r"takes weights from '\.\./secret'"):
        importing(tmp_path / 'net.onnx')


def test_the_imported_format_is_onnx(tmp_path: Path, importing: Import) -> None:
    imported = importing(TinyModel().save(tmp_path / 'my net (2).onnx'))
    assert imported.format is ArtifactFormat.ONNX
    assert package_of(imported).identity == 'my-net-2@1'


def test_a_label_that_is_none_is_refused_before_anything_is_published(
    tmp_path: Path, stores: LayeredStore
) -> None:
    source = str(TinyModel().save(tmp_path / 'net.onnx'))
    with pytest.raises(StoreError, match="'Stable!' is no label"):
        import_model(ImportRequest(source, GivenOptions(), label='Stable!'), stores)
    assert stores.entries() == ()
