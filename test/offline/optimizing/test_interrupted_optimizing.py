"""Optimising that is killed: the store is as it was, and the next attempt succeeds."""

import os
from pathlib import Path
import signal
import subprocess
import sys

from edge_seg.models.layered import LayeredStore
from edge_seg.offline.evaluation.frames import FrameRequest
from edge_seg.offline.optimizing.attempts import OptimizeRequest
from edge_seg.offline.optimizing.optimizing import optimize
from measured_models import colours, publish, SIZE
import pytest

pytest.importorskip('onnxruntime', reason='it brings ONNX graphs to half precision')

SCRIPT = Path(__file__).with_name('optimize_process.py')


@pytest.mark.parametrize('step', ['converting', 'publishing'])
def test_a_killed_run_leaves_the_store_as_it_was(
    stores: LayeredStore, tmp_path: Path, step: str
) -> None:
    publish(stores, tmp_path / 'files', colours())
    (tmp_path / 'scratch').mkdir()
    done = subprocess.run(
        [sys.executable, SCRIPT, stores.own.root, step],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        env={
            **os.environ,
            'PYTHONPATH': os.pathsep.join(sys.path),
            'TMPDIR': str(tmp_path / 'scratch'),
        },
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [listed.entry.identity for listed in stores.entries()] == ['colours@1']
    assert stores.own.leftovers() == ()
    few = FrameRequest(count=4, size=SIZE)
    optimize(stores, 'colours', OptimizeRequest(precision='fp16', calibration=few, data=few))
    assert stores.own.resolve('colours').identity == 'colours@2'
