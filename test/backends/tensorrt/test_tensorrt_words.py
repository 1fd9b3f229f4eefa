"""TensorRT's messages: kept, explained; precision read from what engines tell. Mostly no fakes."""

from collections.abc import Callable
import json
import logging
import threading
from types import ModuleType

from edge_seg.backends.base import CompileOptions
from edge_seg.backends.tensorrt.cuda.interface import GpuMemory
from edge_seg.backends.tensorrt.engine.precision import precision_of_layers
from edge_seg.backends.tensorrt.library import log_ring
from edge_seg.backends.tensorrt.library.log_ring import make_logger, MessageRing
from edge_seg.backends.tensorrt.library.sdk import load_sdk
from edge_seg.backends.tensorrt.library.translate import explain
from edge_seg.backends.tensorrt.serving.memory_fit import (
    available_bytes,
    check_room,
    RESERVE_BYTES,
    usable,
)
from edge_seg.errors import CompileFailed, MemoryShort
from fake_machine import FakeMachine
from fake_plan import plan_of
import pytest
from tiny_models import TinyModel

MIB = 1 << 20


def test_the_ring_keeps_the_last_errors_since_a_mark() -> None:
    ring = MessageRing(3)
    ring.add('ERROR', 'old')
    mark = ring.mark()
    assert ring.since(mark) == ()
    ring.add('WARNING', 'only logged')
    for number in range(5):
        ring.add('ERROR', f'error  {number}\n')
    assert ring.since(mark) == ('error 2', 'error 3', 'error 4')
    assert ring.since(ring.mark()) == ()


def test_the_ring_takes_messages_from_many_threads() -> None:
    ring = MessageRing(1000)
    threads = [
        threading.Thread(target=lambda: [ring.add('ERROR', 'x') for _ in range(100)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ring.mark() == len(ring.since(0)) == 800


def test_a_model_is_not_told_the_errors_of_another() -> None:
    ring = MessageRing()
    mark = ring.mark()

    def another_model() -> None:
        own = ring.mark()
        ring.add('ERROR', 'of the other')
        assert ring.since(own) == ('of the other',)

    for target in (another_model, lambda: ring.add('ERROR', 'of a worker')):
        thread = threading.Thread(target=target)
        thread.start()
        thread.join()
    ring.add('ERROR', 'own')
    assert ring.since(mark) == ('of a worker', 'own')


def test_two_threads_that_ask_first_share_one_logger(
    any_machine: Callable[..., FakeMachine], monkeypatch: pytest.MonkeyPatch
) -> None:
    any_machine()
    made: list[object] = []
    second = threading.Event()

    def make(trt: ModuleType, ring: MessageRing) -> object:
        made.append(ring)
        (second.set if len(made) == 2 else lambda: second.wait(0.2))()
        return make_logger(trt, ring)

    monkeypatch.setattr('edge_seg.backends.tensorrt.library.sdk.make_logger', make)
    threads = [threading.Thread(target=load_sdk) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30.0)
    assert len(made) == 1


@pytest.mark.parametrize(
    ('severity', 'level'),
    [
        ('INTERNAL_ERROR', logging.WARNING), ('ERROR', logging.WARNING),
        ('WARNING', logging.WARNING), ('INFO', logging.DEBUG), ('VERBOSE', logging.DEBUG),
        ('SOMETHING_NEW', logging.WARNING),
    ],
)  # fmt: skip
def test_messages_reach_pythons_log(
    caplog: pytest.LogCaptureFixture, severity: str, level: int
) -> None:
    with caplog.at_level(logging.DEBUG):
        MessageRing().add(severity, 'text')
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (level, 'TensorRT: text')
    ]


def test_a_very_long_message_is_cut() -> None:
    ring = MessageRing()
    ring.add('ERROR', 'x' * 10000)
    assert len(ring.since(0)[0]) <= 600


class Unread(str):
    """Text that may not be looked at."""

    def __getitem__(self, key: object) -> str:
        raise AssertionError('read')

    def split(self, *how: object) -> list[str]:  # type: ignore[override]
        raise AssertionError('read')


@pytest.mark.parametrize('severity', ['VERBOSE', 'INFO'])
def test_details_that_nobody_listens_to_are_not_even_read(
    severity: str, caplog: pytest.LogCaptureFixture
) -> None:
    ring = MessageRing()
    with caplog.at_level(logging.INFO, logger=log_ring.__name__):
        ring.add(severity, Unread('kernel timings'))
    with (
        caplog.at_level(logging.DEBUG, logger=log_ring.__name__),
        pytest.raises(AssertionError, match='read'),
    ):
        ring.add(severity, Unread('kernel timings'))
    with pytest.raises(AssertionError, match='read'):
        ring.add('ERROR', Unread('no memory'))


def test_of_a_dump_of_megabytes_only_the_beginning_is_read() -> None:
    class Cut(str):
        """Text that is cut before it is taken apart."""

        def split(self, *how: object) -> list[str]:  # type: ignore[override]
            raise AssertionError('the whole of it was taken apart')

    ring = MessageRing()
    mark = ring.mark()
    ring.add('ERROR', Cut('layers  of\nthe engine ' * 100_000))
    assert ring.since(mark)[0].startswith('layers of the engine layers')


def test_the_logger_takes_severities_that_are_plain_numbers(machine: FakeMachine) -> None:
    ring = MessageRing()
    make_logger(machine.trt, ring).log(1, 'text')
    assert ring.since(0) == ('text',)


@pytest.mark.parametrize(
    ('said', 'met', 'remedy'),
    [
        ('Version tag does not match. Note: Current Version: 237', 'another TensorRT', 'build'),
        (
            'generated on an incompatible device, expecting compute 8.6 got compute 7.5, rebuild',
            'built for a GPU of compute capability',
            'build',
        ),
        ('CUDA initialization failure with error: 35', 'CUDA error 35', 'driver'),
        ('pybind11::init(): factory function returned nullptr', 'could not start', 'versions'),
        (
            'TensorRT does not support UINT8 types for intermediate tensors!',
            'only at inputs and outputs',
            'edge_seg model fuse',
        ),
        ('Error Code 2: OutOfMemory (Requested size)', 'out of memory', 'swap: exclusive'),
        ('cuMemAlloc failed: out of memory', 'out of memory', 'swap: exclusive'),
        ('cuGraphLaunch failed: out of memory', 'out of memory', 'swap: exclusive'),
        ('kernel launch failed: out of memory', 'out of memory', 'swap: exclusive'),
        ('unspecified launch failure', 'does nothing more for this process', 'restart'),
        ('illegal memory access | out of memory', 'does nothing more', 'restart'),
        ('something nobody has seen', 'something nobody has seen', ''),
    ],
)
def test_errors_are_explained_with_tensorrts_own_words(said: str, met: str, remedy: str) -> None:
    found = explain(['first this', said])
    assert met in found.met
    assert said[:60] in found.met
    assert remedy in found.remedy
    assert bool(found.remedy) == bool(remedy)


def test_silence_is_said_to_be_silence() -> None:
    assert explain([]).met == explain(['']).met == 'TensorRT gave no reason'


def test_a_flood_of_errors_is_cut() -> None:
    assert len(explain(['x' * 500] * 10).met) <= 400


def test_room_is_counted_with_a_reserve() -> None:
    memory = GpuMemory(200 * MIB, 1000 * MIB)
    check_room('net.plan', {'weights': 200 * MIB - RESERVE_BYTES}, memory)
    with pytest.raises(MemoryShort) as refusal:
        check_room('net.plan', {'weights': 100 * MIB, 'activations': 50 * MIB}, memory)
    assert refusal.value.met == (
        'net.plan needs 150 MiB of GPU memory (weights 100, activations 50), '
        '200 of 1000 MiB are free'
    )


def test_an_integrated_gpu_counts_what_linux_would_give_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert available_bytes() > 0
    monkeypatch.setattr(
        'edge_seg.backends.tensorrt.serving.memory_fit.available_bytes', lambda: 500 * MIB
    )
    memory = GpuMemory(200 * MIB, 1000 * MIB)
    assert usable(memory, integrated=False) == memory
    assert usable(memory, integrated=True) == GpuMemory(500 * MIB, 1000 * MIB)
    assert usable(GpuMemory(600 * MIB, 1000 * MIB), integrated=True).free == 600 * MIB


def layers(*types: tuple[str, str], key: str = 'Format/Datatype') -> str:
    made = [{'LayerType': kind, 'Inputs': [{'Name': 'x', key: text}]} for kind, text in types]
    return json.dumps({'Layers': made})


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        (layers(('CaskConvolution', 'Row major linear FP32')), 'fp32'),
        (layers(('CaskConvolution', 'Channel major FP16 format where channel % 8 == 0')), 'fp16'),
        (layers(('CaskConvolution', 'Thirty-two wide channel vectorized Int8 format')), 'int8'),
        (layers(('gemm', 'Half'), key='Datatype'), 'fp16'),
        (layers(('Convolution', 'BFloat16')), 'bf16'),
        (layers(('Reformat', 'FP32'), ('Convolution', 'FP16')), 'fp16'),
        (layers(('Convolution', 'FP16'), ('Convolution', 'FP16'), ('gemm', 'FP32')), 'fp16'),
        (layers(('Reformat', 'FP32')), 'unknown'),
        (layers(('Convolution', 'nothing known')), 'unknown'),
        ('{"Layers": ["conv1", "conv2"]}', 'unknown'),
        ('{"Layers": [{"LayerType": "Convolution", "Inputs": ["x"]}]}', 'unknown'),
        (layers(('Myelin', 'Row major linear FP32')), 'unknown'),
        (layers(('Myelin', 'Row major linear FP16 format')), 'fp16'),
        (layers(('DLA', 'Float'), ('CaskConvolution', 'Half')), 'fp16'),
        ('{"Layers": [{"LayerType": "Convolution", "Inputs": []}]}', 'unknown'),
        ('{}', 'unknown'),
        ('', 'unknown'),
        ('[]', 'unknown'),
    ],
)
def test_precision_is_read_from_layers_or_unknown(text: str, expected: str) -> None:
    assert precision_of_layers(text) == expected


def test_an_engine_is_asked_for_its_precision(machine: FakeMachine) -> None:
    model = TinyModel()
    plan = plan_of(model, machine.version)
    plan.layers = json.loads(layers(('CaskConvolution', 'Row major linear FP16')))['Layers']
    engine = machine.engine(plan, recorded=False)
    taken = (('unrecorded', 'true'),)
    tells = hasattr(machine.trt, 'LayerInformationFormat')
    served = machine.backend.compile_model(engine, model.spec, CompileOptions(extra=taken))
    assert served.report.precision == ('fp16' if tells else 'unknown')
    served.close()
    words = 'computes in fp16' if tells else 'does not say in which precision'
    named = CompileOptions(precision='fp32', extra=taken)
    with pytest.raises(CompileFailed, match=words):
        machine.backend.compile_model(engine, model.spec, named)


def test_an_inspector_that_is_not_given_leaves_the_precision_unknown(
    any_machine: Callable[..., FakeMachine],
) -> None:
    machine, model = any_machine(), TinyModel()
    machine.gpu.fail_always = {'create_engine_inspector'}
    served = machine.backend.compile_model(machine.engine(model), model.spec, CompileOptions())
    assert served.report.precision == 'unknown'
    served.close()


def test_a_named_precision_is_not_taken_on_trust(machine: FakeMachine) -> None:
    model = TinyModel()
    with pytest.raises(CompileFailed, match='does not say in which precision') as refusal:
        machine.backend.compile_model(
            machine.engine(model), model.spec, CompileOptions(precision='fp16')
        )
    assert '--precision fp16' in refusal.value.remedy
