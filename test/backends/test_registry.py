"""The choice of a backend, and what is said about those not taken."""

from pathlib import Path

from edge_seg.backends import registry
from edge_seg.backends.base import Availability, CompiledModel, CompileOptions
from edge_seg.core.values import ArtifactFormat, ModelSpec
from edge_seg.errors import BackendUnavailable, IncompatibleModel, SettingsInvalid
import pytest

ONNX, IR, ENGINE = (
    ArtifactFormat.ONNX,
    ArtifactFormat.OPENVINO_IR,
    ArtifactFormat.TENSORRT_ENGINE,
)
FORMATS = {'tensorrt': (ENGINE, ONNX), 'openvino': (IR, ONNX), 'opencv': (ONNX,)}


class Installed:
    """A backend that is as available as the test says."""

    def __init__(self, name: str, *, available: bool) -> None:
        self.name = name
        self.formats = FORMATS[name]
        self._available = available

    def probe(self) -> Availability:
        if self._available:
            return Availability(True, '1.2', ('CPU',))
        return Availability(False, reason=f'no {self.name} here', remedy='pip install it')

    def compile_model(
        self, artifact: Path, spec: ModelSpec, options: CompileOptions
    ) -> CompiledModel:
        raise NotImplementedError


@pytest.fixture(name='install')
def _install(monkeypatch: pytest.MonkeyPatch) -> object:
    def install(*names: str) -> None:
        def create(name: str) -> Installed:
            return Installed(name, available=name in names)

        monkeypatch.setattr(registry, 'create', create)

    return install


def test_auto_takes_the_first_that_runs_and_says_why_not_the_others(install) -> None:
    install('opencv')
    choice = registry.choose('auto', [ONNX])
    assert choice.backend.name == 'opencv'
    assert choice.availability.version == '1.2'
    assert choice.artifact_format is ONNX
    assert choice.rejected == (
        ('tensorrt', 'no tensorrt here; pip install it'),
        ('openvino', 'no openvino here; pip install it'),
    )


def test_auto_prefers_tensorrt_then_openvino(install) -> None:
    install('tensorrt', 'openvino', 'opencv')
    assert registry.choose('auto', [ONNX]).backend.name == 'tensorrt'
    install('openvino', 'opencv')
    assert registry.choose('auto', [ONNX]).backend.name == 'openvino'


def test_auto_passes_over_a_backend_that_takes_none_of_the_formats(install) -> None:
    install('tensorrt', 'openvino', 'opencv')
    choice = registry.choose('auto', [IR])
    assert choice.backend.name == 'openvino'
    assert choice.rejected == (
        (
            'tensorrt',
            (
                'the model has no artifact that it takes '
                '(has openvino_ir; takes tensorrt_engine or onnx)'
            ),
        ),
    )


def test_the_best_format_of_several_is_taken(install) -> None:
    install('openvino')
    assert registry.choose('openvino', [ONNX, IR]).artifact_format is IR


def test_auto_with_nothing_that_runs_names_every_reason(install) -> None:
    install()
    with pytest.raises(BackendUnavailable) as refusal:
        registry.choose('auto', [ONNX])
    for name in ('tensorrt', 'openvino', 'opencv'):
        assert f'{name}: no {name} here; pip install it' in refusal.value.met


def test_a_named_backend_is_never_replaced(install) -> None:
    install('openvino', 'opencv')
    with pytest.raises(BackendUnavailable, match="'tensorrt' cannot be used") as refusal:
        registry.choose('tensorrt', [ONNX])
    assert refusal.value.remedy == 'pip install it'


def test_a_named_backend_without_a_fitting_artifact_is_refused(install) -> None:
    install('opencv')
    with pytest.raises(IncompatibleModel, match='has openvino_ir; takes onnx'):
        registry.choose('opencv', [IR])


@pytest.mark.parametrize('name', ['onnxruntime', '', 'OpenVINO'])
def test_an_unknown_name_is_answered_with_the_names_there_are(name: str) -> None:
    with pytest.raises(SettingsInvalid, match='auto or tensorrt or openvino or opencv'):
        registry.choose(name, [ONNX])


@pytest.mark.parametrize('name', registry.BACKEND_NAMES)
def test_every_backend_of_the_table_can_be_made_and_probed(name: str) -> None:
    backend = registry.create(name)
    assert backend.name == name
    assert backend.formats
    found = backend.probe()
    assert found.available or (found.reason and found.remedy)
