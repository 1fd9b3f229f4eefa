"""Gives child processes of the tests the fake TensorRT; see test/backends/tensorrt.

The version is that of $FAKE_TENSORRT; Python imports this at every start.
"""

import os
from pathlib import Path
import sys

BACKENDS = Path(__file__).parents[2] / 'backends'
sys.path += [str(BACKENDS), str(BACKENDS / 'tensorrt')]

WORKER = 'edge_seg.runtime.building.engine_worker'

if 'FAKE_TENSORRT' in os.environ and WORKER in ' '.join(sys.orig_argv):
    from able_machine import install
    import pytest

    install(os.environ['FAKE_TENSORRT'], pytest.MonkeyPatch())
