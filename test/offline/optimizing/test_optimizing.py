"""From a published model to an optimised version of it, whole or not at all."""

from pathlib import Path
import sys
import tempfile
from typing import Any

from edge_seg.core.values import ArtifactFormat, OutputKind
from edge_seg.errors import (
    AccuracyLost,
    BackendUnavailable,
    CompileFailed,
    EdgeSegError,
    IncompatibleModel,
    LoadStage,
    ModelRejected,
    SourceUnavailable,
    StoreError,
)
from edge_seg.models.layered import LayeredStore
from edge_seg.models.package import verify_artifacts
from edge_seg.offline.evaluation.frames import FrameRequest
from edge_seg.offline.evaluation.label_files import PairingRule
from edge_seg.offline.optimizing.attempts import OptimizeRequest
from edge_seg.offline.optimizing.optimizing import optimize
from measured_models import (
    colours,
    depthwise,
    fragile,
    labelled_folder,
    publish,
    publish_files,
    SIZE,
    SPEC,
)
import onnx
import pytest
from tiny_models import TinyModel
from tiny_tflite import save_tflite

FEW = FrameRequest(count=4, size=SIZE)


def int8(**others: object) -> OptimizeRequest:
    pytest.importorskip('nncf', reason='INT8 is made with NNCF')
    return OptimizeRequest(precision='int8', calibration=FEW, **{'data': FEW, **others})


def fp16(**others: object) -> OptimizeRequest:
    return OptimizeRequest(precision='fp16', **{'data': FEW, **others})


def versions(stores: LayeredStore) -> list[str]:
    return [listed.entry.identity for listed in stores.entries()]


def test_int8_comes_as_ir_and_as_onnx_and_keeps_the_masks(
    stores: LayeredStore, tmp_path: Path
) -> None:
    original = publish(stores, tmp_path / 'files', colours())
    data = FrameRequest(str(labelled_folder(tmp_path / 'data', count=5)))
    result = optimize(stores, 'colours', int8(data=data))
    made = stores.resolve('colours@2')
    verify_artifacts(made)
    assert [artifact.format for artifact in made.manifest.artifacts] == [
        ArtifactFormat.OPENVINO_IR, ArtifactFormat.ONNX,
    ]  # fmt: skip
    graph = onnx.load(str(made.path / 'colours.onnx'))
    zeros = {tensor.name: tensor.data_type for tensor in graph.graph.initializer}
    quantisers = [node for node in graph.graph.node if node.op_type == 'QuantizeLinear']
    assert quantisers
    assert {zeros[node.input[2]] for node in quantisers} == {onnx.TensorProto.INT8}
    assert result.optimized.run.precision == 'int8'
    assert result.original.miou == 1.0
    assert result.agreement > 0.99
    assert result.miou_drop == pytest.approx(100 * (1 - (result.optimized.miou or 0)))
    assert result.optimized.run.model_sha256 == made.manifest_sha256
    fields = dict(made.manifest.provenance.fields)
    assert fields['optimized_from'] == 'colours@1'
    assert fields['optimized_from_sha256'] == original.manifest_sha256
    assert fields['calibration'].startswith('4 frames: synthetic')
    assert 'nncf' in fields['optimized_with']
    assert dict(made.manifest.provenance.metrics)['miou'] > 0.99


def test_activations_have_one_range_for_all_channels(
    stores: LayeredStore, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """TensorRT takes no others, before depthwise convolutions either."""
    publish(stores, tmp_path / 'files', depthwise())
    optimize(stores, 'colours', int8())
    graph = onnx.load(str(stores.resolve('colours@2').path / 'colours.onnx')).graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    ranges = [
        shapes[node.input[1]]
        for node in graph.node
        if node.op_type == 'QuantizeLinear' and node.input[0] not in shapes
    ]
    assert len(ranges) >= 3
    assert {*ranges} <= {(), (1,)}
    assert capfd.readouterr() == ('', '')  # what runs the graph has nothing to say to the user


def test_a_network_that_onnx_runtime_does_not_run_is_refused(
    stores: LayeredStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnxruntime = pytest.importorskip('onnxruntime', reason='NNCF runs ONNX with it')
    failure = onnxruntime.capi.onnxruntime_pybind11_state.Fail

    def session(*_: object, **__: object) -> None:
        raise failure('Scale and Zero-point must be a scalar')

    publish(stores, tmp_path / 'files', colours())
    monkeypatch.setattr(onnxruntime, 'InferenceSession', session)
    with pytest.raises(CompileFailed, match='NNCF cannot quantise .*must be a scalar.*fp16'):
        optimize(stores, 'colours', int8(max_drop=5.0))


def test_fp16_halves_the_weights_and_keeps_the_masks(stores: LayeredStore, tmp_path: Path) -> None:
    pytest.importorskip('onnxruntime', reason='it brings ONNX graphs to half precision')
    publish(stores, tmp_path / 'files', colours())
    result = optimize(stores, 'colours', fp16(version='7'))
    assert versions(stores) == ['colours@1', 'colours@7']
    assert result.agreement > 0.999
    assert {artifact.format for artifact in result.artifacts} == {'openvino_ir', 'onnx'}
    assert (result.original.miou, result.calibration.frames) == (None, 0)


def test_layers_that_int8_ruins_stay_in_floating_point(
    stores: LayeredStore, tmp_path: Path
) -> None:
    publish(stores, tmp_path / 'files', fragile())
    with pytest.raises(AccuracyLost, match='with --max-drop'):
        optimize(stores, 'colours', int8())
    result = optimize(stores, 'colours', int8(max_drop=6.0))
    assert 'second' in result.kept
    assert 'sound' not in result.kept
    assert (result.miou_drop or 0.0) <= 6.0
    made = stores.resolve('colours@2').manifest
    assert 'second' in dict(made.provenance.fields)['kept_in_float']


def test_a_bound_that_no_layer_meets_is_said(stores: LayeredStore, tmp_path: Path) -> None:
    publish(stores, tmp_path / 'files', fragile())
    with pytest.raises(AccuracyLost, match=r'no layer of colours@1 can be in INT8'):
        optimize(stores, 'colours', int8(max_drop=0.001))
    assert versions(stores) == ['colours@1']


def publish_ir(stores: LayeredStore, folder: Path, model: onnx.ModelProto) -> None:
    """Put a network into the store as OpenVINO IR."""
    openvino = pytest.importorskip('openvino', reason='it writes the IR')
    folder.mkdir()
    onnx.save(model, str(folder / 'network.onnx'))
    openvino.save_model(openvino.convert_model(str(folder / 'network.onnx')), folder / 'n.xml')
    (folder / 'network.onnx').unlink()
    publish_files(stores, folder, ArtifactFormat.OPENVINO_IR, ('n.xml', 'n.bin'), spec=SPEC)


def test_layers_of_an_ir_stay_in_floating_point_too(stores: LayeredStore, tmp_path: Path) -> None:
    publish_ir(stores, tmp_path / 'files', fragile())
    result = optimize(stores, 'colours', int8(max_drop=6.0))
    assert 1 <= len(result.kept) < 3
    assert (result.miou_drop or 0.0) <= 6.0
    assert result.optimized.run.precision == 'int8'


def test_a_model_that_comes_as_ir_becomes_ir(stores: LayeredStore, tmp_path: Path) -> None:
    publish_ir(stores, tmp_path / 'files', colours())
    result = optimize(stores, 'colours', int8())
    assert [artifact.format for artifact in result.artifacts] == ['openvino_ir']
    assert (result.optimized.run.precision, result.kept) == ('int8', ())
    assert result.agreement > 0.99


INTERRUPTIONS = [
    ('int8', 'calibrating'), ('int8', 'converting'), ('fp16', 'converting'),
    ('fp16', 'comparing'), ('fp16', 'publishing'),
]  # fmt: skip


@pytest.mark.parametrize(('precision', 'step'), INTERRUPTIONS)
def test_an_interrupted_run_leaves_nothing(
    stores: LayeredStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    precision: str,
    step: str,
) -> None:
    publish(stores, tmp_path / 'files', colours())
    scratch = tmp_path / 'scratch'
    scratch.mkdir()
    monkeypatch.setattr(tempfile, 'tempdir', str(scratch))

    def interrupt(name: str, done: int, total: int) -> None:
        if name == step:
            raise KeyboardInterrupt

    request = int8() if precision == 'int8' else fp16()
    if request.precision == 'fp16':
        pytest.importorskip('onnxruntime', reason='it brings ONNX graphs to half precision')
    with pytest.raises(KeyboardInterrupt):
        optimize(stores, 'colours', request, on_step=interrupt)
    assert versions(stores) == ['colours@1']
    assert stores.own.leftovers() == ()
    assert list(scratch.iterdir()) == []


def test_labels_that_are_not_whole_are_refused(stores: LayeredStore, tmp_path: Path) -> None:
    publish(stores, tmp_path / 'files', colours())
    folder = labelled_folder(tmp_path / 'data')
    (folder / 'labels' / '2.png').unlink()
    with pytest.raises(SourceUnavailable, match=r'1 of 4 pictures .* no label map, images/2\.png'):
        optimize(stores, 'colours', fp16(data=FrameRequest(str(folder))))
    misnamed = FrameRequest(str(folder), pairing=PairingRule(label_ending='_ids'))
    with pytest.raises(SourceUnavailable, match='4 of 4 pictures .* no label map'):
        optimize(stores, 'colours', fp16(data=misnamed))
    assert versions(stores) == ['colours@1']


def test_the_folder_of_a_damaged_version_is_taken(stores: LayeredStore, tmp_path: Path) -> None:
    pytest.importorskip('onnxruntime', reason='it brings ONNX graphs to half precision')
    publish(stores, tmp_path / 'files', colours())
    second = publish(stores, tmp_path / 'again', colours(), version='2')
    (second.path / 'manifest.yaml').write_text('damaged: [')
    result = optimize(stores, 'colours@1', fp16())
    assert result.optimized.run.model == 'colours@3'


REFUSALS = [
    ({'version': '1'}, StoreError, 'colours@1 is in the store already'),
    ({'data': FrameRequest('/nowhere')}, EdgeSegError, 'does not exist'),
]


@pytest.mark.parametrize(('others', 'error', 'message'), REFUSALS)
def test_bad_requests_are_refused_before_anything_is_done(
    stores: LayeredStore,
    tmp_path: Path,
    others: dict[str, object],
    error: type[EdgeSegError],
    message: str,
) -> None:
    publish(stores, tmp_path / 'files', colours())
    with pytest.raises(error, match=message):
        optimize(stores, 'colours', fp16(**others))
    assert versions(stores) == ['colours@1']


def test_too_great_a_loss_is_not_published(
    stores: LayeredStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip('onnxruntime', reason='it brings ONNX graphs to half precision')
    publish(stores, tmp_path / 'files', colours())
    monkeypatch.setattr(
        'edge_seg.offline.optimizing.comparing.Comparison.miou_drop', property(lambda self: 3.0)
    )
    with pytest.raises(AccuracyLost, match=r'3\.00 points .* expected at most 0\.5') as lost:
        optimize(stores, 'colours', fp16(max_drop=0.5))
    assert lost.value.remedy == 'allow more with --max-drop'  # nothing was calibrated
    assert versions(stores) == ['colours@1']


@pytest.mark.parametrize(
    ('request_', 'remedy'), [(fp16, 'try --precision int8'), (int8, 'with --max-drop')]
)
def test_the_remedy_suits_the_precision(
    stores: LayeredStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request_: Any,
    remedy: str,
) -> None:
    pytest.importorskip('onnxruntime', reason='it brings ONNX graphs to half precision')
    publish(stores, tmp_path / 'files', colours())

    def refuse(*_: object, **__: object) -> None:
        raise ModelRejected(LoadStage.WARM, 'NaN')

    monkeypatch.setattr('edge_seg.offline.optimizing.attempts.compare_models', refuse)
    with pytest.raises(AccuracyLost, match=remedy):
        optimize(stores, 'colours', request_())


def test_without_nncf_the_remedy_is_said(
    stores: LayeredStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(stores, tmp_path / 'files', colours())
    monkeypatch.setitem(sys.modules, 'nncf', None)
    request = OptimizeRequest(precision='int8', calibration=FEW, data=FEW)
    with pytest.raises(BackendUnavailable, match=r'nncf .*pip install .*nncf'):
        optimize(stores, 'colours', request)
    assert versions(stores) == ['colours@1']


def test_an_optimised_model_is_not_quantised_again(stores: LayeredStore, tmp_path: Path) -> None:
    publish(stores, tmp_path / 'files', colours())
    pytest.importorskip('onnxruntime', reason='it brings ONNX graphs to half precision')
    optimize(stores, 'colours', fp16())
    with pytest.raises((IncompatibleModel, CompileFailed), match='half precision'):
        optimize(stores, 'colours@2', fp16())


FORMS = {
    'without batch': TinyModel(size=SIZE, batch=False),
    'open axes': TinyModel(size=SIZE, dynamic=True),
    'channels last': TinyModel(size=SIZE, input_layout='NHWC', output_layout='NHWC'),
    'labels': TinyModel(size=SIZE, kind=OutputKind.LABELS, output_layout='NHW'),
}


@pytest.mark.parametrize('form', FORMS)
def test_networks_of_every_form_are_quantised(
    stores: LayeredStore, tmp_path: Path, form: str
) -> None:
    model = FORMS[form]
    publish(stores, tmp_path / 'files', model.proto(), spec=model.spec)
    result = optimize(stores, 'tiny', int8())
    assert result.optimized.run.precision == 'int8'
    assert result.agreement > 0.97


def test_a_tflite_file_becomes_ir(stores: LayeredStore, tmp_path: Path) -> None:
    model = TinyModel(size=SIZE, input_layout='NHWC', output_layout='NHWC')
    folder = tmp_path / 'files'
    folder.mkdir()
    save_tflite(model, folder / 'tiny.tflite')
    publish_files(stores, folder, ArtifactFormat.TFLITE, ('tiny.tflite',), spec=model.spec)
    result = optimize(stores, 'tiny', int8())
    assert [artifact.format for artifact in result.artifacts] == ['openvino_ir']
    assert (result.optimized.run.precision, result.agreement > 0.97) == ('int8', True)
