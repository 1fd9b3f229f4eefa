"""Whether a machine was quiet while it measured: what others computed in the meantime."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
import os
from pathlib import Path
import time
from typing import Any

# Without guest times, which user times hold already, and without interrupts, which are ours too.
_USER, _NICE, _SYSTEM, _STEAL = 0, 1, 2, 7
TICK_S = 1.0 / os.sysconf('SC_CLK_TCK')
OTHER_CORES = 0.15
"""Processor time of others, in cores, from which figures are called noisy."""
STOLEN_CORES = 0.05
"""The same of what the hypervisor gave to other machines."""


@dataclass(frozen=True, slots=True)
class Noise:
    """What went on beside a benchmark.

    Attributes:
        other_work_cores: cores that processes of others kept busy, mean.
        stolen_cores: cores that the hypervisor kept back while they were wanted, mean.
    """

    other_work_cores: float
    stolen_cores: float

    @property
    def noisy(self) -> bool:
        """Whether times and even ratios deserve doubt."""
        return self.other_work_cores > OTHER_CORES or self.stolen_cores > STOLEN_CORES

    @property
    def text(self) -> str:
        """One sentence for people."""
        return (
            f'Other work took {self.other_work_cores:.2f} cores while this was measured, and the '
            f'hypervisor kept back {self.stolen_cores:.2f}.'
        )

    def described(self) -> dict[str, Any]:
        """Give what goes into the JSON."""
        return {**asdict(self), 'noisy': self.noisy}


@dataclass(frozen=True, slots=True)
class Clocks:
    """Seconds that have passed, each from an origin of its own.

    Attributes:
        wall_s: of the clock.
        busy_s: of all processes of the machine, on its cores.
        stolen_s: that the hypervisor kept back.
        own_s: of this process and of its children that were waited for.
    """

    wall_s: float
    busy_s: float
    stolen_s: float
    own_s: float

    @classmethod
    def now(cls) -> 'Clocks':
        """Read them."""
        spent = os.times()
        own_s = spent.user + spent.system + spent.children_user + spent.children_system
        try:
            fields = Path('/proc/stat').read_text('ascii').splitlines()[0].split()[1:]
        except OSError:  # not Linux: nothing is known of others
            return cls(time.monotonic(), own_s, 0.0, own_s)
        ticks = [int(field) for field in fields]
        busy_s = (ticks[_USER] + ticks[_NICE] + ticks[_SYSTEM]) * TICK_S
        return cls(time.monotonic(), busy_s, ticks[_STEAL] * TICK_S, own_s)


class NoiseMeter:
    """Compares the processor time of the machine with that of this process and its children.

    A child counts when it has ended and was waited for, so the block must end all of them.

    Args:
        clocks: ``Clocks.now``, or a stand-in for tests.
    """

    def __init__(self, clocks: Callable[[], 'Clocks'] | None = None) -> None:
        self._clocks = clocks or Clocks.now
        self._begin = self._clocks()
        self.noise = Noise(0.0, 0.0)
        """Of the ``with`` block, once it was left."""

    def __enter__(self) -> 'NoiseMeter':
        self._begin = self._clocks()
        return self

    def __exit__(self, *_: object) -> None:
        begin, end = self._begin, self._clocks()
        wall_s = max(end.wall_s - begin.wall_s, TICK_S)
        others_s = (end.busy_s - begin.busy_s) - (end.own_s - begin.own_s)
        stolen_s = end.stolen_s - begin.stolen_s
        self.noise = Noise(max(0.0, others_s) / wall_s, stolen_s / wall_s)
