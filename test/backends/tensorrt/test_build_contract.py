"""The building fakes against NVIDIA's bindings, and every builder call against every version."""

import ast
from pathlib import Path

from contract import exists, members, VERSIONS
from fake_builder import make_building_tensorrt
from fake_gpu import FakeGpu
import pytest

BACKEND = Path(__file__).parents[3] / 'edge_seg' / 'backends' / 'tensorrt'
# In the building modules objects of TensorRT go by these names and no other objects do.
OBJECTS = {
    'builder': 'Builder', 'network': 'INetworkDefinition', 'config': 'IBuilderConfig',
    'parser': 'OnnxParser', 'error': 'ParserError', 'profile': 'IOptimizationProfile',
    'cache': 'ITimingCache', 'tensor': 'ITensor', 'serialised': 'IHostMemory',
}  # fmt: skip
MODULES = ('building/graph.py', 'building/config.py', 'building/builder.py')
PYTHON_ERRORS = {'strerror'}
ASKED_FIRST = {'ParserError.node_operator', 'ParserError.node_name'}


@pytest.mark.parametrize('version', VERSIONS)
def test_the_building_fake_has_nothing_that_its_version_lacks(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, has = make_building_tensorrt(FakeGpu(), version, monkeypatch), members(version)
    seen = 0
    for name in ('Builder', *(set(OBJECTS.values()) - {'Builder'}), 'IProgressMonitor'):
        if name not in has:
            assert not hasattr(module, name)
            continue
        for public, found in vars(getattr(module, name)).items():
            if public.startswith('_'):
                continue
            seen += 1
            kind = has[name][public]
            assert isinstance(found, property) == (kind in ('ro', 'rw')), f'{name}.{public}'
            if isinstance(found, property) and name != 'ITensor':
                assert (found.fset is None) == (kind == 'ro'), f'{name}.{public}'
    assert seen >= 30


@pytest.mark.parametrize('version', VERSIONS)
def test_every_builder_call_exists_in_every_version_or_is_asked_for_first(version: str) -> None:
    called = set(object_members())
    missing = {each for each in called if not exists(version, each)} - ASKED_FIRST
    # Guarded by Sdk.has: 8.6 has no progress monitor.
    missing -= {'IBuilderConfig.progress_monitor'} if version.startswith('8.') else set()
    assert missing == set()
    assert len(called) > 25


def object_members() -> list[str]:
    found = []
    for module in (*MODULES, 'building/engine.py', 'building/monitor.py'):
        for node in ast.walk(ast.parse((BACKEND / module).read_text('utf-8'))):
            if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
                continue
            if node.value.id in OBJECTS and node.attr not in PYTHON_ERRORS:
                found.append(f'{OBJECTS[node.value.id]}.{node.attr}')
    return found


@pytest.mark.parametrize(
    ('member', 'wrong'),
    [
        ('builder_optimization_level', '3'), ('builder_optimization_level', True),
        ('profiling_verbosity', 2), ('DLA_core', None), ('default_device_type', 1),
        ('max_workspace_size', 1),
    ],
)  # fmt: skip
def test_the_builders_configuration_takes_the_types_that_nvidias_does(
    member: str, wrong: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = make_building_tensorrt(FakeGpu(), '11.4.0', monkeypatch)
    config = module.IBuilderConfig(module._machine)
    with pytest.raises((TypeError, AttributeError), match=member):
        setattr(config, member, wrong)
