"""How the model commands show progress: bars on stderr, and nothing when that is no terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import sys
from typing import Literal

from edge_seg.models.package import Progress

OnStep = Callable[[str, int, int], None]
"""Told the step ('' is the main one), how much of it is done, and of how much; 0 = not known."""


@contextmanager
def step_bar(
    what: str, *, counted: Literal['frames', 'bytes'] = 'frames'
) -> Iterator[OnStep | None]:
    """Give a function that moves a bar; None when stderr is no terminal.

    Args:
        what: the main step.
        counted: of what there are so many.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
    )
    from rich.progress import Progress as Bars

    count = DownloadColumn() if counted == 'bytes' else MofNCompleteColumn()
    columns = TextColumn('{task.description}'), BarColumn(), count, TimeElapsedColumn()
    # This stream, not whatever stands for stderr later: tools are kept quiet meanwhile.
    with Bars(*columns, console=Console(file=sys.stderr), transient=True) as bars:
        task = bars.add_task(what, total=None)

        def move(step: str, done: int, total: int) -> None:
            bars.update(task, description=step or what, completed=done, total=total or None)

        yield move


@contextmanager
def byte_bar(what: str) -> Iterator[Progress | None]:
    """Give a function that moves a bar of bytes; None when stderr is no terminal."""
    with step_bar(what, counted='bytes') as move:
        yield counting(move)


def counting(move: OnStep | None, step: str = '') -> Progress | None:
    """Turn what ``step_bar`` gives into what is told amounts only."""
    return None if move is None else lambda done, total: move(step, done, total)
