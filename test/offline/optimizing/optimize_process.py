"""Optimises colours in a process that kills itself at a step; started by the tests.

Arguments: folder of the store, name of the step.
"""

import os
from pathlib import Path
import signal
import sys

from edge_seg.core.values import Size
from edge_seg.models.layered import LayeredStore
from edge_seg.models.store import ModelStore
from edge_seg.offline.evaluation.frames import FrameRequest
from edge_seg.offline.optimizing.attempts import OptimizeRequest
from edge_seg.offline.optimizing.optimizing import optimize


def main(store: Path, fatal: str) -> None:
    """Optimise, and die."""

    def die(step: str, done: int, total: int) -> None:
        if step == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    few = FrameRequest(count=4, size=Size(64, 48))
    request = OptimizeRequest(precision='fp16', calibration=few, data=few)
    optimize(LayeredStore(ModelStore(store)), 'colours', request, on_step=die)


if __name__ == '__main__':
    main(Path(sys.argv[1]), sys.argv[2])
