"""The segmentation node as it is, with a note of every network that is opened and closed.

Whether a model is closed exactly once cannot be seen from outside the process, so what the backend
compiles is wrapped. And no model fails at check or at swap by itself: what check would find,
OpenVINO finds at build, and nothing is left to go wrong at swap but the node's own publishers. Two
versions of the model stand for that.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
import os
from pathlib import Path
from typing import Any, cast

from edge_seg.backends import registry
from edge_seg.backends.base import Backend, CompiledModel, CompileOptions
from edge_seg.core.values import ModelSpec
from edge_seg.ros import segmentation_node
from edge_seg.ros.announcements import Announcements

LOG_VARIABLE = 'EDGE_SEG_BENCH_MODEL_LOG'
OPENED, CLOSED = 'open', 'close'
MISFIT_VERSION, MUTE_VERSION = '130', '131'
"""Versions whose outputs do not fit, and whose labels cannot be published."""


@dataclass(frozen=True, slots=True)
class CloseCount:
    """How often models were closed.

    Attributes:
        opened: networks that were compiled or imported.
        closed_once: of them, those with exactly one call of ``close``.
        open_still: never closed.
        closed_again: closed more than once.
    """

    opened: int
    closed_once: int
    open_still: int
    closed_again: int


def read_close_count(path: Path) -> CloseCount:
    """Read what the node noted."""
    calls: dict[str, int] = {}
    for line in path.read_text('ascii').splitlines():
        event, _, number = line.partition(' ')
        calls[number] = calls.get(number, 0) + (event == CLOSED)
    counts = list(calls.values())
    return CloseCount(
        opened=len(counts),
        closed_once=counts.count(1),
        open_still=counts.count(0),
        closed_again=sum(1 for calls_of_one in counts if calls_of_one > 1),
    )


class _Counted:
    """A compiled model, of which something is replaced."""

    def __init__(self, inner: Any, **replaced: Any) -> None:
        self._inner = inner
        self.__dict__.update(replaced)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def count_models(backend: type[Backend], note: Callable[[str], None]) -> None:
    """Let a backend note every network that it compiles, and every call that closes one."""
    compile_model = backend.compile_model
    numbers = count()

    def counted(
        self: Backend, artifact: Path, spec: ModelSpec, options: CompileOptions
    ) -> CompiledModel:
        compiled = compile_model(self, artifact, spec, options)
        number = next(numbers)
        note(f'{OPENED} {number}')

        def close() -> None:
            note(f'{CLOSED} {number}')
            compiled.close()

        return cast(CompiledModel, _Counted(compiled, close=close))

    setattr(backend, 'compile_model', counted)  # noqa: B010 - mypy refuses the assignment


def misfit(backend: type[Backend]) -> None:
    """Let the network of one version have an output of another shape than it should."""
    compile_model = backend.compile_model

    def misfitting(
        self: Backend, artifact: Path, spec: ModelSpec, options: CompileOptions
    ) -> CompiledModel:
        compiled = compile_model(self, artifact, spec, options)
        if spec.version != MISFIT_VERSION:
            return compiled
        output = replace(compiled.outputs[0], shape=(*compiled.outputs[0].shape, 2))
        return cast(CompiledModel, _Counted(compiled, outputs=(output,)))

    setattr(backend, 'compile_model', misfitting)  # noqa: B010 - as above


def mute(announcements: type[Announcements]) -> None:
    """Let the labels of one version not be published, as with a publisher that is gone."""
    classes = announcements.classes

    def unless_mute(self: Announcements, spec: ModelSpec) -> None:
        if spec.version == MUTE_VERSION:
            raise RuntimeError('the labels cannot be published')
        classes(self, spec)

    setattr(announcements, 'classes', unless_mute)  # noqa: B010 - as above


def main() -> int:
    """Run the segmentation node."""
    file = os.open(os.environ[LOG_VARIABLE], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    backend = type(registry.create('openvino'))
    misfit(backend)
    count_models(
        backend,
        lambda line: cast(None, os.write(file, f'{line}\n'.encode('ascii'))),
    )
    mute(Announcements)
    return segmentation_node.main()
