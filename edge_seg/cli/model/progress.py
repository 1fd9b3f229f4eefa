"""How the model commands show progress: bars on stderr, and nothing when that is no terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import sys
from typing import Literal

from edge_seg.cli.view import in_bytes
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
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    words = in_bytes if counted == 'bytes' else str
    columns = TextColumn('{task.description}'), BarColumn(), TextColumn('{task.fields[amount]}')
    # This stream, not whatever stands for stderr later: tools are kept quiet meanwhile.
    console = Console(file=sys.stderr)
    with Bars(*columns, TimeElapsedColumn(), console=console, transient=True) as bars:
        task = bars.add_task(what, total=None, amount='')

        def move(step: str, done: int, total: int) -> None:
            amount = words(done) if done else ''
            if total:
                amount = f'{words(done)} of {words(total)}'
            bars.update(
                task, description=step or what, completed=done, total=total or None, amount=amount
            )

        yield move


@contextmanager
def byte_bar(what: str) -> Iterator[Progress | None]:
    """Give a function that moves a bar of bytes; None when stderr is no terminal."""
    with step_bar(what, counted='bytes') as move:
        yield counting(move)


def counting(move: OnStep | None, step: str = '') -> Progress | None:
    """Turn what ``step_bar`` gives into what is told amounts only."""
    return None if move is None else lambda done, total: move(step, done, total)
