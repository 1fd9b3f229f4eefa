"""The segmentation node as it is, with a note of every network that is opened and closed.

Whether a model is closed exactly once cannot be seen from outside the process. The node's own
seam for tests, the choice of the backend, is used to wrap what the backend compiles.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
import os
from pathlib import Path
from typing import Any, cast

from edge_seg.backends import registry
from edge_seg.backends.base import Backend, CompiledModel
from edge_seg.backends.registry import BackendChoice
from edge_seg.core.values import ArtifactFormat
from edge_seg.ros import segmentation_node
from edge_seg.runtime.candidate import CandidateFactory

LOG_VARIABLE = 'EDGE_SEG_BENCH_MODEL_LOG'
OPENED, CLOSED = 'open', 'close'


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
    """A thing of a backend, of which one method is replaced."""

    def __init__(self, inner: Any, **methods: Callable[..., Any]) -> None:
        self._inner = inner
        self.__dict__.update(methods)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def counting_choose(
    requested: str,
    formats: Collection[ArtifactFormat],
    *,
    without: Collection[str] = (),
    note: Callable[[str], None],
    numbers: 'count[int]',
) -> BackendChoice:
    """Choose as the node does, and note what the chosen backend opens."""
    choice = registry.choose(requested, formats, without=without)

    def compile_model(*args: Any) -> CompiledModel:
        compiled = choice.backend.compile_model(*args)
        number = next(numbers)
        note(f'{OPENED} {number}')

        def close() -> None:
            note(f'{CLOSED} {number}')
            compiled.close()

        return cast(CompiledModel, _Counted(compiled, close=close))

    backend = cast(Backend, _Counted(choice.backend, compile_model=compile_model))
    return replace(choice, backend=backend)


def main() -> int:
    """Run the segmentation node."""
    file = os.open(os.environ[LOG_VARIABLE], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    choose = partial(
        counting_choose,
        note=lambda line: cast(None, os.write(file, f'{line}\n'.encode('ascii'))),
        numbers=count(),
    )
    vars(segmentation_node)['CandidateFactory'] = partial(CandidateFactory, choose_backend=choose)
    return segmentation_node.main()
