"""The fakes against NVIDIA's bindings, and every name in the backend against every version."""

import ast
from collections.abc import Iterator
import enum
from pathlib import Path

from contract import cuda_members, exists, members, MODULE_MEMBERS, SUPPORTED, VERSIONS
from edge_seg.backends.tensorrt.library.sdk import optional
from fake_cuda_bindings import make_cuda_bindings
from fake_gpu import FakeGpu
from fake_pycuda import make_pycuda
from fake_tensorrt import make_tensorrt
import pytest

BACKEND = Path(__file__).parents[3] / 'edge_seg' / 'backends' / 'tensorrt'
SOURCES = sorted(BACKEND.rglob('*.py'))
# In the run-time modules objects of TensorRT go by these names and no other objects do.
OBJECTS = {
    'engine': 'ICudaEngine', '_engine': 'ICudaEngine', 'context': 'IExecutionContext',
    '_context': 'IExecutionContext', '_runtime': 'Runtime', 'runtime': 'Runtime',
    'inspector': 'EngineInspector',
}  # fmt: skip
OBJECT_MODULES = (
    'engine/loaded.py', 'engine/tensors.py', 'engine/precision.py', 'library/sdk.py',
    'library/accelerator.py',
)  # fmt: skip
OPTIONAL_CALLS = ('optional', 'has')


@pytest.mark.parametrize('version', VERSIONS)
def test_the_fake_has_nothing_that_its_version_lacks(version: str) -> None:
    module, has = make_tensorrt(FakeGpu(), version), members(version)
    for name, member in vars(module).items():
        if name.startswith('__') or name == '_machine' or name in MODULE_MEMBERS:
            continue
        assert name in has, name
        if isinstance(member, enum.EnumMeta):
            assert {name: each.value for name, each in member.__members__.items()} == has[name]
            continue
        for public, found in vars(member).items():
            if public.startswith('_'):
                continue
            assert public in has[name], f'{name}.{public}'
            kind = has[name][public]
            assert isinstance(found, property) == (kind in ('ro', 'rw')), f'{name}.{public}'
            if isinstance(found, property):
                assert (found.fset is None) == (kind == 'ro'), f'{name}.{public}'


@pytest.mark.parametrize(
    ('version', 'member', 'there'),
    [
        ('8.6.1', 'ICudaEngine.device_memory_size_v2', False),
        ('8.6.1', 'ICudaEngine.device_memory_size', True),
        ('10.3.0', 'ICudaEngine.device_memory_size', True),
        ('11.0.0', 'ICudaEngine.device_memory_size', False),
        ('11.4.0', 'DataType.INT64', True),
        ('8.6.1', 'DataType.INT64', False),
        ('11.4.0', 'BuilderFlag.FP16', False),
        ('10.16.1', 'BuilderFlag.FP16', True),
        ('11.4.0', 'NetworkDefinitionCreationFlag.EXPLICIT_BATCH', False),
        ('11.4.0', 'NoSuchClass.member', False),
    ],
)
def test_a_missing_member_really_is_missing(version: str, member: str, there: bool) -> None:
    assert (optional(make_tensorrt(FakeGpu(), version), member) is not None) is there


def test_no_attribute_can_be_invented_on_a_fake() -> None:
    module = make_tensorrt(FakeGpu(), '11.4.0')
    with pytest.raises(AttributeError, match='max_workspace_size'):
        object.__new__(module.ILogger).max_workspace_size = 1


@pytest.mark.parametrize(
    ('layer', 'module'),
    [
        ('pycuda', make_pycuda(FakeGpu())['pycuda.driver']),
        ('cuda-bindings', make_cuda_bindings(FakeGpu())['cuda.bindings.driver']),
    ],
)
def test_the_fake_cuda_layers_have_nothing_that_the_real_ones_lack(
    layer: str, module: object
) -> None:
    has = cuda_members(layer)
    for name, member in vars(module).items():
        if name.startswith('__'):
            continue
        assert name in has[''], name
        if isinstance(member, type) and name in has:
            if issubclass(member, enum.Enum):
                public = [each.name for each in member]
            else:
                public = [each for each in vars(member) if not each.startswith('_')]
            assert set(public) - {'mapped'} <= set(has[name]), name


@pytest.mark.parametrize(
    ('file', 'layer'), [('with_pycuda.py', 'pycuda'), ('with_bindings.py', 'cuda-bindings')]
)
def test_the_cuda_layers_name_only_what_exists(file: str, layer: str) -> None:
    has = cuda_members(layer)
    tree = ast.parse((BACKEND / 'cuda' / file).read_text('utf-8'))
    named = {dotted.partition('driver.')[2] for dotted in _dotted(tree) if '.driver.' in dotted}
    named |= {dotted.partition('_driver.')[2] for dotted in _dotted(tree) if '_driver.' in dotted}
    # cuda-bindings functions are called by their name as text.
    named |= {text for text in _texts(tree) if text.startswith('cu') and text[2:3].isupper()}
    assert len(named) > 10
    for dotted in named - {''}:
        first, _, second = dotted.partition('.')
        assert first in has[''], dotted
        if second and first in has:
            assert second.partition('.')[0] in has[first], dotted


def test_every_name_in_the_backend_exists_in_every_version_or_is_asked_for_first() -> None:
    missing = [
        f'{place}: trt.{dotted} in {version}'
        for place, dotted in _trt_names()
        for version in SUPPORTED
        if dotted not in MODULE_MEMBERS and not exists(version, dotted)
    ]
    assert missing == []
    assert len(list(_trt_names())) > 4


def test_every_optional_name_exists_in_some_version() -> None:
    asked = list(_optional_names())
    assert len(asked) >= 2
    unknown = [
        f'{place}: {dotted}'
        for place, dotted in asked
        if dotted not in MODULE_MEMBERS
        and not any(exists(version, dotted) for version in VERSIONS)
    ]
    assert unknown == []


def test_every_member_of_a_tensorrt_object_exists_in_every_version_or_is_asked_for() -> None:
    optional_members = {dotted for _, dotted in _optional_names()}
    # The other branch of a question about a member: asked for by its newer name.
    optional_members |= {'ICudaEngine.device_memory_size'}
    missing = [
        f'{place}: {dotted} in {version}'
        for place, dotted in _object_members()
        for version in VERSIONS
        if not exists(version, dotted) and dotted not in optional_members
    ]
    assert missing == []
    assert len(set(_object_members())) > 20


def test_nothing_old_is_named() -> None:
    banned = ('execute_async_v2', 'num_bindings', 'max_workspace_size', 'autoinit')
    banned += ('builder.build_engine(',)
    found = [(path.name, word) for path in SOURCES for word in banned if word in _code(path)]
    assert found == []


def _code(path: Path) -> str:
    """Give a module without its docstrings and comments."""
    tree = ast.parse(path.read_text('utf-8'))
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value = ast.Constant(0)
    return ast.unparse(tree)


def _trees() -> Iterator[tuple[str, ast.AST]]:
    for path in SOURCES:
        yield str(path.relative_to(BACKEND)), ast.parse(path.read_text('utf-8'))


def _chain(node: ast.AST) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    return '.'.join([node.id, *parts]) if isinstance(node, ast.Name) else ''


def _dotted(tree: ast.AST) -> list[str]:
    found = {_chain(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return sorted(found - {''})


def _texts(tree: ast.AST) -> list[str]:
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def _trt_names() -> Iterator[tuple[str, str]]:
    """Every trt.X.y, however the module is reached: trt, sdk.trt, self._sdk.trt, tensorrt."""
    for place, tree in _trees():
        for dotted in _dotted(tree):
            parts = dotted.split('.')
            for name in ('trt', 'tensorrt'):
                if name in parts[:-1]:
                    rest = parts[parts.index(name) + 1 :]
                    # Dunder members of the module or a class are Python's.
                    rest = [part for part in rest[:2] if part[:2] != '__']
                    if rest and not (name == 'tensorrt' and parts[0] == 'edge_seg'):
                        yield place, '.'.join(rest)


def _optional_names() -> Iterator[tuple[str, str]]:
    for place, tree in _trees():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            name = _chain(node.func).rpartition('.')[2]
            literals = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
            if name in OPTIONAL_CALLS and literals and isinstance(literals[-1], str):
                yield place, literals[-1]


def _object_members() -> Iterator[tuple[str, str]]:
    for place, tree in _trees():
        if place not in OBJECT_MODULES:
            continue
        for dotted in _dotted(tree):
            parts = dotted.split('.')
            for index, part in enumerate(parts[:-1]):
                if part in OBJECTS and parts[index + 1] != 'dtype':
                    yield place, f'{OBJECTS[part]}.{parts[index + 1]}'


def test_a_logger_without_its_base_is_refused_by_the_fake() -> None:
    module = make_tensorrt(FakeGpu(), '11.4.0')

    class Forgetful(module.ILogger):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            """Forget the base."""

    made = module.Runtime.__new__(module.Runtime)
    with pytest.raises(TypeError, match=r'ILogger\.__init__'):
        made.__init__(Forgetful())
