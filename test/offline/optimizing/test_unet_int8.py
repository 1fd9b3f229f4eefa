"""A U-Net from PyTorch in INT8: half the time, or less."""

from pathlib import Path

from edge_seg.backends.base import CompileOptions
from edge_seg.core.values import Size
from edge_seg.models.layered import LayeredStore
from edge_seg.offline.evaluation.frames import FrameRequest
from edge_seg.offline.evaluation.running import RunOptions
from edge_seg.offline.imports.given import GivenOptions
from edge_seg.offline.imports.importing import import_model, ImportRequest
from edge_seg.offline.optimizing.attempts import CALIBRATION_SEED, OptimizeRequest
from edge_seg.offline.optimizing.optimizing import optimize
import pytest

pytest.importorskip('torch', reason='PyTorch is an optional extra, and is not installed')
pytest.importorskip('nncf', reason='INT8 is made with NNCF')

MAX_LATENCY, MAX_SIZE = 0.5, 0.35
SIZE = Size(128, 128)


@pytest.mark.bench
def test_a_unet_takes_at_most_half_the_time(stores: LayeredStore) -> None:
    source = f'{Path(__file__).with_name("standard_unet.py")}:unet'
    given = GivenOptions(input_size='128x128', normalise='unit', classes='a,b,c,d')
    import_model(ImportRequest(source, given, licence='MIT'), stores, publish=True)
    request = OptimizeRequest(
        calibration=FrameRequest(count=40, seed=CALIBRATION_SEED, size=SIZE),
        data=FrameRequest(count=100, size=SIZE),
        options=RunOptions('openvino', CompileOptions(threads=2)),
    )
    result = optimize(stores, 'unet', request)
    assert result.infer_ratio <= MAX_LATENCY
    assert result.size_ratio <= MAX_SIZE
