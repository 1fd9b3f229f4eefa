"""The demo model in INT8: as accurate, a third of the size, faster."""

from pathlib import Path

from edge_seg.backends.base import CompileOptions
from edge_seg.models.layered import LayeredStore
from edge_seg.offline.evaluation.frames import FrameRequest
from edge_seg.offline.evaluation.running import RunOptions
from edge_seg.offline.optimizing.attempts import CALIBRATION_SEED, OptimizeRequest
from edge_seg.offline.optimizing.optimizing import optimize
import pytest

pytest.importorskip('nncf', reason='INT8 is made with NNCF')

FLOOR = Path(__file__).parents[3] / 'models' / 'floor' / '2'
MAX_DROP_POINTS, MAX_SIZE, MAX_LATENCY = 0.5, 0.35, 0.85


def test_int8_keeps_its_promises(stores: LayeredStore) -> None:
    request = OptimizeRequest(
        calibration=FrameRequest(count=40, seed=CALIBRATION_SEED),
        data=FrameRequest(count=40),
        options=RunOptions('openvino', CompileOptions(threads=2)),
    )
    result = optimize(stores, str(FLOOR), request)
    assert (result.original.miou or 0.0) > 0.85
    assert result.miou_drop is not None
    assert result.miou_drop <= MAX_DROP_POINTS
    assert [artifact.share <= MAX_SIZE for artifact in result.artifacts] == [True, True]
    assert result.infer_ratio <= MAX_LATENCY
    assert stores.own.resolve('floor').identity == 'floor@3'
