"""The checks for real GPUs, run on the fake one: they work, and so do both layers."""

from collections.abc import Callable
import sys
from typing import Any

import cuda_checks
from edge_seg.backends.base import CompileOptions
from edge_seg.backends.tensorrt.cuda.driver import DriverRefused
from edge_seg.backends.tensorrt.cuda.interface import Cuda
from edge_seg.backends.tensorrt.cuda.opening import choose_layer, open_cuda
from edge_seg.errors import BackendUnavailable
from fake_machine import FakeMachine
import pytest
from tiny_models import TinyModel

LAYERS = ('pycuda', 'cuda-bindings')


@pytest.mark.parametrize('layer', LAYERS)
@pytest.mark.parametrize('check', cuda_checks.CHECKS, ids=lambda check: check.__name__)
def test_the_layer_works(
    any_machine: Callable[..., FakeMachine],
    check: Callable[[Callable[[], Cuda]], None],
    layer: str,
) -> None:
    any_machine()
    check(lambda: open_cuda(layer, 0))


@pytest.mark.parametrize('layer', LAYERS)
def test_a_thousand_cycles_leave_memory_flat(
    any_machine: Callable[..., FakeMachine], layer: str
) -> None:
    any_machine()
    cuda_checks.cycles(lambda: open_cuda(layer, 0), 1000)


@pytest.mark.parametrize('layer', LAYERS)
@pytest.mark.parametrize('call', ['init', 'retain', 'push'])
def test_a_driver_that_refuses_is_said_to(
    any_machine: Callable[..., FakeMachine], layer: str, call: str
) -> None:
    machine = any_machine()
    machine.gpu.fail_always = {call}
    with pytest.raises(BackendUnavailable, match='CUDA does not start'):
        open_cuda(layer, 0)


def test_pycuda_leaves_the_stack_of_its_thread_as_it_was(
    any_machine: Callable[..., FakeMachine],
) -> None:
    machine = any_machine()
    outer = open_cuda('pycuda', 0)
    open_cuda('pycuda', 0).close()
    assert machine.gpu.depth() == 1
    outer.close()
    assert machine.gpu.depth() == 0


def test_a_context_that_cannot_be_popped_is_told_of(
    any_machine: Callable[..., FakeMachine],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    machine = any_machine()

    def refused() -> None:
        raise DriverRefused('the CUDA driver answered error 201')

    monkeypatch.setattr('edge_seg.backends.tensorrt.cuda.with_pycuda.pop_context', refused)
    open_cuda('pycuda', 0).close()
    assert 'the CUDA context stays on its thread: the CUDA driver answered' in caplog.text
    machine.gpu.pop()


@pytest.mark.parametrize('wanted', ['auto', *LAYERS])
def test_a_layer_is_chosen(any_machine: Callable[..., FakeMachine], wanted: Any) -> None:
    any_machine()
    assert choose_layer(wanted) == ('pycuda' if wanted == 'auto' else wanted)


def test_a_function_that_the_driver_lacks_is_an_error(
    any_machine: Callable[..., FakeMachine],
) -> None:
    machine = any_machine()

    def absent(*arguments: object) -> None:
        raise RuntimeError('Function "cuMemGetInfo" not found')

    machine.replace_driver_function('cuMemGetInfo', absent)
    cuda = open_cuda('cuda-bindings', 0)
    with pytest.raises(Exception, match='not found'):
        cuda.memory()
    cuda.close()


def test_with_no_layer_at_all_pycuda_is_asked_for(
    any_machine: Callable[..., FakeMachine], monkeypatch: pytest.MonkeyPatch
) -> None:
    any_machine()
    monkeypatch.setattr('edge_seg.backends.tensorrt.cuda.opening.find_spec', lambda name: None)
    for name in ('pycuda', 'pycuda.driver', 'cuda', 'cuda.bindings', 'cuda.bindings.driver'):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(BackendUnavailable, match='pycuda'):
        choose_layer('auto')


def test_a_layer_that_cannot_even_be_looked_for_is_tried(
    any_machine: Callable[..., FakeMachine], monkeypatch: pytest.MonkeyPatch
) -> None:
    any_machine()
    monkeypatch.setattr(sys.modules['pycuda'], '__spec__', None)
    assert choose_layer('auto') == 'pycuda'


def test_beside_a_broken_pycuda_the_bindings_serve(
    any_machine: Callable[..., FakeMachine],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    machine, model = any_machine(), TinyModel()
    monkeypatch.setitem(sys.modules, 'pycuda.driver', None)
    assert machine.backend.probe().available
    assert 'pycuda is installed but does not import' in caplog.text
    assert 'cuda-bindings is used instead' in caplog.text
    for layer in ('auto', 'cuda-bindings'):
        wanted = CompileOptions(extra=(('cuda', layer),))
        machine.backend.compile_model(machine.engine(model), model.spec, wanted).close()
    with pytest.raises(BackendUnavailable, match='does not import'):
        choose_layer('pycuda')


def test_broken_bindings_without_pycuda_are_said_to_be_broken(
    any_machine: Callable[..., FakeMachine], monkeypatch: pytest.MonkeyPatch
) -> None:
    any_machine()
    for name in ('pycuda', 'pycuda.driver'):
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, 'cuda.bindings.driver', None)
    with pytest.raises(BackendUnavailable, match='cuda is installed but does not import'):
        choose_layer('auto')
