"""Devices, precision, cache and other options of the OpenVINO backend."""

from dataclasses import replace
from pathlib import Path

from edge_seg.backends.base import CompileOptions
from edge_seg.backends.openvino import OpenVinoBackend
from edge_seg.errors import BackendUnavailable, CompileFailed
import numpy as np
import onnx
import openvino as ov
import pytest
from tiny_models import quantised, TinyModel

MODEL = TinyModel()


@pytest.fixture(name='artifact')
def _artifact(tmp_path: Path) -> Path:
    return MODEL.save(tmp_path / 'tiny.onnx')


def _capabilities() -> list[str]:
    return list(ov.Core().get_property('CPU', 'OPTIMIZATION_CAPABILITIES'))


def test_probe_names_version_and_devices() -> None:
    found = OpenVinoBackend().probe()
    assert found.available
    assert ov.__version__.startswith(found.version)
    assert {'CPU', 'AUTO'} <= set(found.devices)
    assert (found.reason, found.remedy) == ('', '')


@pytest.mark.parametrize('device', ['CPU', 'cpu', ' AUTO ', 'AUTO:CPU', 'MULTI:CPU', 'HETERO:CPU'])
def test_devices_that_are_here_are_taken(device: str, artifact: Path) -> None:
    options = CompileOptions(device=device)
    compiled = OpenVinoBackend().compile_model(artifact, MODEL.spec, options)

    (answer,) = compiled.infer([MODEL.pixels()])

    np.testing.assert_allclose(answer, MODEL.expected(MODEL.pixels()), atol=1e-5)
    assert compiled.report.device.startswith('CPU (')
    assert compiled.report.precision == 'fp32'


@pytest.mark.parametrize(
    ('device', 'missing'),
    [
        ('NPU', "'NPU'"),
        ('GPU.7', "'GPU.7'"),
        ('MULTI:CPU,NPU', "'NPU' in 'MULTI:CPU,NPU'"),
        ('CUDA', "'CUDA'"),
        ('HETERO', "'HETERO'"),
        ('AUTO:', "'' in 'AUTO:'"),
        ('', "''"),
    ],
)
def test_devices_that_are_not_here_are_refused(device: str, missing: str, artifact: Path) -> None:
    if 'NPU' in device and 'NPU' in ov.Core().available_devices:
        pytest.skip('this machine has an NPU')
    with pytest.raises(BackendUnavailable) as refusal:
        OpenVinoBackend().compile_model(artifact, MODEL.spec, CompileOptions(device=device))
    assert f'no device {missing}; it sees' in refusal.value.met
    assert 'CPU' in refusal.value.met
    assert 'set device: ' in refusal.value.remedy


def test_precision_is_left_at_fp32_unless_asked(artifact: Path) -> None:
    compiled = OpenVinoBackend().compile_model(artifact, MODEL.spec, CompileOptions())
    assert compiled.report.precision == 'fp32'


@pytest.mark.parametrize(('precision', 'capability'), [('bf16', 'BF16'), ('fp16', 'FP16')])
def test_a_named_precision_is_met_or_refused(
    precision: str, capability: str, artifact: Path
) -> None:
    options = CompileOptions(precision=precision)
    backend = OpenVinoBackend()
    if capability in _capabilities():
        compiled = backend.compile_model(artifact, MODEL.spec, options)
        assert compiled.report.precision == precision
        return
    with pytest.raises(CompileFailed, match=f'expected {precision}'):
        backend.compile_model(artifact, MODEL.spec, options)


def test_int8_of_a_network_that_is_not_quantised_is_refused(artifact: Path) -> None:
    options = CompileOptions(precision='int8')
    with pytest.raises(CompileFailed, match='computes in fp32 on CPU; expected int8') as refusal:
        OpenVinoBackend().compile_model(artifact, MODEL.spec, options)
    assert 'quantised' in refusal.value.remedy


@pytest.mark.parametrize('precision', ['auto', 'int8'])
def test_a_quantised_network_computes_in_int8(precision: str, tmp_path: Path) -> None:
    onnx.save(quantised(MODEL), str(tmp_path / 'int8.onnx'))
    options = CompileOptions(precision=precision)
    compiled = OpenVinoBackend().compile_model(tmp_path / 'int8.onnx', MODEL.spec, options)
    (answer,) = compiled.infer([MODEL.pixels()])
    assert compiled.report.precision == 'int8'
    np.testing.assert_allclose(answer, MODEL.expected(MODEL.pixels()), atol=0.2)


def test_fp32_of_a_quantised_network_is_refused(tmp_path: Path) -> None:
    onnx.save(quantised(MODEL), str(tmp_path / 'int8.onnx'))
    options = CompileOptions(precision='fp32')
    with pytest.raises(CompileFailed, match='computes in int8 on CPU; expected fp32'):
        OpenVinoBackend().compile_model(tmp_path / 'int8.onnx', MODEL.spec, options)


def test_the_second_load_comes_from_the_cache(artifact: Path, tmp_path: Path) -> None:
    options = CompileOptions(cache_dir=tmp_path / 'cache')
    loads = [
        OpenVinoBackend().compile_model(artifact, MODEL.spec, options).report.from_cache
        for _ in range(2)
    ]
    assert loads == [False, True]


def test_the_cache_keeps_models_with_other_normalisation_apart(
    artifact: Path, tmp_path: Path
) -> None:
    options = CompileOptions(cache_dir=tmp_path / 'cache')
    other = MODEL.but(mean=(0.1, 0.2, 0.3))
    OpenVinoBackend().compile_model(artifact, MODEL.spec, options)

    compiled = OpenVinoBackend().compile_model(artifact, other.spec, options)

    (answer,) = compiled.infer([MODEL.pixels()])
    np.testing.assert_allclose(answer, other.expected(MODEL.pixels()), atol=1e-5)


@pytest.mark.parametrize('device', ['CPU', 'AUTO:CPU'])
def test_an_unknown_property_is_refused_with_the_nearest_names(
    device: str, artifact: Path
) -> None:
    options = CompileOptions(device=device, extra=(('ENABLE_CPU_PINING', 'NO'),))
    with pytest.raises(CompileFailed, match="no property 'ENABLE_CPU_PINING'"):
        OpenVinoBackend().compile_model(artifact, MODEL.spec, options)


def test_a_wrong_value_of_a_property_is_refused(artifact: Path) -> None:
    options = CompileOptions(extra=(('INFERENCE_NUM_THREADS', 'many'),))
    with pytest.raises(CompileFailed, match='INFERENCE_NUM_THREADS') as refusal:
        OpenVinoBackend().compile_model(artifact, MODEL.spec, options)
    assert '.cpp' not in str(refusal.value)


def test_properties_are_passed_through(artifact: Path) -> None:
    options = CompileOptions(threads=1, pin_threads=True, extra=(('PERF_COUNT', 'YES'),))
    compiled = OpenVinoBackend().compile_model(artifact, MODEL.spec, options)
    (answer,) = compiled.infer([MODEL.pixels()])
    np.testing.assert_allclose(answer, MODEL.expected(MODEL.pixels()), atol=1e-5)


def test_report_says_what_was_built_in(artifact: Path) -> None:
    report = OpenVinoBackend().compile_model(artifact, MODEL.spec, CompileOptions()).report
    assert report.backend == 'openvino'
    assert report.fused == ('uint8_input', 'normalise', 'layout')
    assert not report.from_cache


def test_a_device_may_compute_as_suits_it_best_only_when_allowed(artifact: Path) -> None:
    options = CompileOptions(device_precision=True)
    compiled = OpenVinoBackend().compile_model(artifact, MODEL.spec, options)
    assert compiled.report.precision == ('bf16' if 'BF16' in _capabilities() else 'fp32')

    named = replace(options, precision='fp32')
    compiled = OpenVinoBackend().compile_model(artifact, MODEL.spec, named)
    assert compiled.report.precision == 'fp32'
