"""Starts segmentation nodes and their operators, and ends them all."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, ExitStack
import itertools
import os
from pathlib import Path
from typing import Any

from edge_seg.models.store import ModelStore
from operator_node import Operator
import pytest
from segmentation_process import SegmentationProcess

_numbers = itertools.count(1)
Start = Callable[..., tuple[SegmentationProcess, Operator]]


@contextmanager
def segmentation_nodes(folder: Path, store: ModelStore) -> Iterator[Start]:
    """Give a function that starts nodes; all are ended at the end.

    Each has a namespace of its own, by which it is told apart from all others that may run in this
    ROS domain; ``below`` continues it. Defaults suit tests: frames do not grow stale on a busy
    machine, diagnostics come often.
    """
    with ExitStack() as ends, pytest.MonkeyPatch.context() as patch:
        patch.setenv('ROS_LOG_DIR', str(folder / 'log'))

        def start(
            *,
            below: str = '',
            remappings: dict[str, str] | None = None,
            file: Path | None = None,
            environment: dict[str, str] | None = None,
            **parameters: Any,
        ) -> tuple[SegmentationProcess, Operator]:
            values: dict[str, Any] = {
                'model': 'colours@1',
                'model_store': str(store.root),
                'backend': 'openvino',
                'cache_dir': 'none',
                'precision': 'fp32',  # the same masks on every processor
                'threads': 1,
                'warmup_runs': 1,
                'max_age_s': 60.0,
                'diagnostics_period_s': 0.1,
            }
            values.update(parameters)
            process = SegmentationProcess(
                folder,
                {name: value for name, value in values.items() if value is not None},
                namespace=f'/test_{os.getpid()}_{next(_numbers)}{below}',
                remappings=remappings,
                file=file,
                environment={'OMP_NUM_THREADS': '1', **(environment or {})},
            )
            ends.callback(process.end)
            operator = Operator(process)
            ends.callback(operator.close)
            return process, operator

        yield start
