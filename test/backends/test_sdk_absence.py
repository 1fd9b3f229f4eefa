"""Vendor SDKs that are absent or broken: the package imports, and the other backends work."""

from pathlib import Path
import subprocess
import sys
import textwrap

import pytest
from tiny_models import TinyModel

HERE = Path(__file__).parent
MODEL = TinyModel()

_BLOCKER = """
import sys
sys.path.insert(0, {here!r})

class Blocker:
    # What stands for the SDK fails in the way that the test names.
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {blocked!r}:
            raise {failure}
        return None

sys.meta_path.insert(0, Blocker())

from pathlib import Path
import numpy as np
from edge_seg.backends.base import CompileOptions
from edge_seg.backends.inspect import inspect_model
from edge_seg.backends.registry import choose, create
from edge_seg.core.values import ArtifactFormat
from edge_seg.errors import EdgeSegError
from tiny_models import TinyModel

model, artifact = TinyModel(), Path({artifact!r})
"""
ABSENT = "ModuleNotFoundError(f'No module named {name!r}', name=name)"
FAILURES = {
    'a library is missing': "ImportError('libtbb.so.12: cannot open shared object file')",
    'a library does not load': "OSError('invalid ELF header')",
    'another numpy': "AttributeError('_ARRAY_API not found')",
    'a dependency is missing': "ModuleNotFoundError('No module named \\'six\\'', name='six')",
    'something else': "RuntimeError('half installed')",
}


def _run(script: str, folder: Path, *, blocked: tuple[str, ...], failure: str) -> list[str]:
    artifact = MODEL.save(folder / 'tiny.onnx')
    head = _BLOCKER.format(
        here=str(HERE), blocked=blocked, failure=failure, artifact=str(artifact)
    )
    done = subprocess.run(
        [sys.executable, '-c', head + textwrap.dedent(script)],
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_without_openvino_auto_takes_opencv_and_says_why(tmp_path: Path) -> None:
    script = """
        choice = choose('auto', [ArtifactFormat.ONNX])
        print(choice.backend.name)
        print(dict(choice.rejected)['openvino'])
        compiled = choice.backend.compile_model(artifact, model.spec, CompileOptions())
        image = model.normalised(model.pixels()).transpose(0, 3, 1, 2).copy()
        print(np.allclose(compiled.infer([image])[0], model.expected(model.pixels()), atol=1e-5))
    """
    lines = _run(script, tmp_path, blocked=('openvino',), failure=ABSENT)
    assert lines == ['opencv', 'openvino is not installed; pip install openvino', 'True']


@pytest.mark.parametrize('name', FAILURES)
def test_a_broken_openvino_is_a_reason_and_no_crash(name: str, tmp_path: Path) -> None:
    script = """
        found = create('openvino').probe()
        print(found.available, found.reason)
        try:
            choose('openvino', [ArtifactFormat.ONNX])
        except EdgeSegError as error:
            print(type(error).__name__, error)
        try:
            create('openvino').compile_model(artifact, model.spec, CompileOptions())
        except EdgeSegError as error:
            print(type(error).__name__, error)
        print(choose('auto', [ArtifactFormat.ONNX]).backend.name)
    """
    lines = _run(script, tmp_path, blocked=('openvino',), failure=FAILURES[name])
    assert lines[0].startswith('False openvino is installed but does not import (')
    assert lines[1].startswith("BackendUnavailable backend 'openvino' cannot be used: openvino is")
    assert lines[1].endswith('pip install openvino')
    assert lines[2].startswith('BackendUnavailable openvino is installed but does not import (')
    assert lines[3] == 'opencv'


@pytest.mark.parametrize('failure', [ABSENT, FAILURES['something else']])
def test_without_tensorrt_and_pycuda_openvino_works(failure: str, tmp_path: Path) -> None:
    script = """
        print(create('tensorrt').probe().available)
        choice = choose('auto', [ArtifactFormat.ONNX])
        print(choice.backend.name, [name for name, _ in choice.rejected])
        compiled = choice.backend.compile_model(artifact, model.spec, CompileOptions())
        answer, = compiled.infer([model.pixels()])
        print(np.allclose(answer, model.expected(model.pixels()), atol=1e-5))
    """
    blocked = ('tensorrt', 'pycuda')
    lines = _run(script, tmp_path, blocked=blocked, failure=failure)
    assert lines == ['False', "openvino ['tensorrt']", 'True']


def test_without_openvino_an_onnx_file_can_still_be_inspected(tmp_path: Path) -> None:
    script = """
        print(inspect_model(artifact))
        artifact.rename(artifact.with_suffix('.xml'))
        try:
            inspect_model(artifact.with_suffix('.xml'))
        except EdgeSegError as error:
            print(type(error).__name__, error)
    """
    lines = _run(script, tmp_path, blocked=('openvino',), failure=ABSENT)
    assert "inputs=(FoundTensor(name='image', shape=(1, 3, 8, 12), dtype='float32'),)" in lines[0]
    assert "read_by='edge_seg'" in lines[0]
    assert lines[1] == (
        'BackendUnavailable tiny.xml cannot be read: openvino is not installed; '
        'pip install openvino'
    )


def test_importing_and_probing_imports_no_sdk_before_its_turn(tmp_path: Path) -> None:
    script = """
        import sys
        print([name for name in ('openvino', 'tensorrt', 'pycuda') if name in sys.modules])
        create('tensorrt').probe()
        create('opencv').probe()
        print([name for name in ('openvino', 'tensorrt', 'pycuda') if name in sys.modules])
    """
    lines = _run(script, tmp_path, blocked=(), failure='None')
    assert lines == ['[]', '[]']
