"""Shows how the demo goes: one live line on a terminal, one line a second elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
import math

from edge_seg.cli.demo.meter import Glance
from edge_seg.cli.demo.summary import drops_text
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True, slots=True)
class Status:
    """One second of the run.

    Attributes:
        elapsed_s: since the nodes became active.
        total_s: length of the run, 0 = until Ctrl-C.
        glance: figures of the last second.
        drops: frames without a mask so far, by reason.
        truth: whether there is ground truth.
        remark: what is wrong; '' = nothing.
    """

    elapsed_s: float
    total_s: float
    glance: Glance
    drops: Mapping[str, int]
    truth: bool
    remark: str

    def line(self) -> str:
        """Say it in one line."""
        age = self.glance.age_ms
        parts = [f'{self.elapsed_s:3.0f} s', f'{self.glance.fps:5.1f} masks/s']
        if not math.isnan(age.p50):
            parts.append(f'age {age.p50:.1f}/{age.p95:.1f} ms (p50/p95)')
        if self.truth:
            miou = self.glance.miou
            parts.append('mIoU -' if math.isnan(miou) else f'mIoU {miou:.3f}')
        parts.append(f'dropped {drops_text(self.drops)}')
        return '  '.join(parts)


class Display:
    """Writes on a console; a context manager, as a terminal's live line must be taken down."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._live: Live | None = None
        self._remark = ''

    def __enter__(self) -> 'Display':
        return self

    def __exit__(self, *_: object) -> None:
        self.finish_status()

    def note(self, text: str, *, style: str = '') -> None:
        """Write one line that stays."""
        # Not markup: paths and reasons may have brackets. No soft wrap: a line stays a line.
        self.console.print(Text(text, style=style), soft_wrap=True)

    def status(self, status: Status) -> None:
        """Show how it goes now."""
        if not self.console.is_terminal:
            self.note(status.line())
            if status.remark not in ('', self._remark):
                self.note(status.remark)
            self._remark = status.remark
            return
        if self._live is None:
            self._live = Live(console=self.console, auto_refresh=False)
            self._live.start()
        self._live.update(_live_view(status), refresh=True)

    def finish_status(self) -> None:
        """Let the live line stand as it is, and go on below it."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()


def _live_view(status: Status) -> Table:
    grid = Table.grid(padding=(0, 1))
    if status.total_s:
        grid.add_row(ProgressBar(status.total_s, min(status.elapsed_s, status.total_s), width=40))
    grid.add_row(Text(status.line(), overflow='ellipsis', no_wrap=True))
    if status.remark:
        grid.add_row(Text(status.remark, style='yellow'))
    return grid
