"""OpenVINO IR written by edge_seg: the same network, declared output only, in few bytes."""

from pathlib import Path

from edge_seg.backends.base import CompileOptions
from edge_seg.backends.openvino import OpenVinoBackend
from edge_seg.core.values import OutputKind
from edge_seg.errors import CompileFailed, IncompatibleModel
import numpy as np
import onnx
import pytest
from tiny_models import quantised, TinyModel

pytest.importorskip('openvino', reason='it writes the IR')


def outputs(file: Path, model: TinyModel) -> np.ndarray:
    served = OpenVinoBackend().compile_model(file, model.spec, CompileOptions())
    result = np.array(served.infer([model.pixels()])[0])
    served.close()
    return result


MODELS = {
    'plain': TinyModel(),
    'dynamic': TinyModel(dynamic=True),
    'without batch': TinyModel(batch=False, output_layout='NCHW'),
    'several outputs': TinyModel(extra_outputs=True),
    'NHWC': TinyModel(input_layout='NHWC', output_layout='NHWC'),
    'labels': TinyModel(kind=OutputKind.LABELS),
    'uint8': TinyModel(input_dtype='uint8', input_layout='NHWC'),
}


@pytest.mark.parametrize('name', MODELS)
@pytest.mark.parametrize('half', [False, True])
def test_the_ir_computes_what_the_file_computes(tmp_path: Path, name: str, half: bool) -> None:
    model = MODELS[name]
    source = model.save(tmp_path / 'tiny.onnx')
    OpenVinoBackend().write_ir(source, tmp_path / 'tiny.xml', model.spec, half=half)
    expected, found = outputs(source, model), outputs(tmp_path / 'tiny.xml', model)
    # The weights are exact in FP16; what a uint8 network normalises with is not.
    np.testing.assert_allclose(found, expected, atol=5e-3 if half else 1e-5)


def test_quantised_weights_stay_bytes(tmp_path: Path) -> None:
    model = TinyModel()
    onnx.save(quantised(model), str(tmp_path / 'int8.onnx'))
    OpenVinoBackend().write_ir(
        tmp_path / 'int8.onnx', tmp_path / 'int8.xml', model.spec, half=False
    )
    served = OpenVinoBackend().compile_model(tmp_path / 'int8.xml', model.spec, CompileOptions())
    served.close()
    text = (tmp_path / 'int8.xml').read_text()
    assert 'element_type="i8"' in text
    assert '\n' not in text.strip()
    np.testing.assert_allclose(
        outputs(tmp_path / 'int8.xml', model), outputs(tmp_path / 'int8.onnx', model), atol=1e-5
    )


def test_what_is_declared_otherwise_is_refused(tmp_path: Path) -> None:
    model = TinyModel()
    source = model.save(tmp_path / 'tiny.onnx')
    wrong = model.but(color_order='gray')
    with pytest.raises(IncompatibleModel):
        OpenVinoBackend().write_ir(source, tmp_path / 'tiny.xml', wrong.spec, half=False)
    assert not (tmp_path / 'tiny.xml').exists()


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    model = TinyModel()
    source = model.save(tmp_path / 'tiny.onnx')
    (tmp_path / 'file').write_text('')
    target = tmp_path / 'file' / 'tiny.xml'
    with pytest.raises(CompileFailed, match='cannot be written'):
        OpenVinoBackend().write_ir(source, target, model.spec, half=False)
