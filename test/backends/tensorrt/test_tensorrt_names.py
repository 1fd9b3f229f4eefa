"""No way around the scan of names: no indirect access, alias, keyword or module that it misses."""

import ast
from collections.abc import Iterator
from pathlib import Path

from contract import cuda_members
import test_build_contract
import test_tensorrt_contract

BACKEND = Path(__file__).parents[3] / 'edge_seg' / 'backends' / 'tensorrt'
# Each asks for a member that some versions lack, or goes by a name that is checked elsewhere.
INDIRECT = {
    ('cuda/driver.py', 'getattr', 'name'),  # ctypes
    ('library/sdk.py', 'getattr', 'part'),  # optional(), whose arguments are scanned
    ('library/sdk.py', 'hasattr', "'Runtime'"),
    ('building/config.py', 'getattr', "'DLA'"),
    ('building/graph.py', 'hasattr', "'node_operator'"),
    ('building/graph.py', 'hasattr', "'node_name'"),
    ('library/log_ring.py', 'getattr', "'name'"),
    ('files/key.py', 'getattr', 'field.name'),  # of its own dataclasses
    ('cuda/with_bindings.py', 'getattr', 'function'),  # names as text are scanned
    ('cuda/with_bindings.py', 'getattr', "'name'"),
}
WAYS_AROUND = ('getattr', 'hasattr', 'setattr', 'delattr', 'vars', 'eval', 'exec', 'attrgetter')
# As python/src/infer/pyCore.cpp and the sources of PyCUDA name their arguments.
KEYWORDS = {
    ('set_timing_cache', 'ignore_mismatch'),
    ('pagelocked_empty', 'mem_flags'),
    ('_function', 'block'), ('_function', 'grid'), ('_function', 'stream'),
}  # fmt: skip
# What NVIDIA's and PyCUDA's objects are called in the module of the PyCUDA layer.
PYCUDA_OBJECTS = {
    'self._context': 'Context', 'context': 'Context', 'self._event': 'Event',
    'stream.stream': 'Stream', 'self.stream': 'Stream', 'allocation': 'DeviceAllocation',
    'array.base': 'PagelockedHostAllocation', 'self._module': 'Module', 'module': 'Module',
    'self._function': 'Function', 'kinds': 'event_flags',
}  # fmt: skip
# Modules that hold vendor objects (typed Any) and no others: scanned for names, or without any.
SCANNED = {*test_tensorrt_contract.OBJECT_MODULES, *test_build_contract.MODULES}
SCANNED |= {'building/engine.py', 'building/monitor.py'}
SCANNED |= {'cuda/with_pycuda.py', 'cuda/with_bindings.py'}
# ctypes, tasks, JSON, a class
PLAIN = {'cuda/driver.py', 'cuda/owner.py', 'files/key.py', 'library/log_ring.py'}


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(BACKEND.rglob('*.py')):
        yield path.relative_to(BACKEND).as_posix(), ast.parse(path.read_text('utf-8'))


def tree_of(file: str) -> ast.Module:
    return next(tree for name, tree in trees() if name == file)


def called(node: ast.Call) -> str:
    return ast.unparse(node.func).rpartition('.')[2]


def calls(tree: ast.Module) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def test_members_are_named_in_plain_sight() -> None:
    found = {
        (name, called(call), ast.unparse(call.args[min(1, len(call.args) - 1)]))
        for name, tree in trees()
        for call in calls(tree)
        if called(call) in WAYS_AROUND
    }
    assert found == INDIRECT
    hidden = [
        (name, ast.unparse(node))
        for name, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ('__dict__', '__getattribute__')
    ]
    assert hidden == []


def test_modules_with_objects_of_vendors_are_all_scanned() -> None:
    with_objects = {
        name
        for name, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id == 'Any'
    }
    assert with_objects <= SCANNED | PLAIN


def test_keywords_given_to_vendors_are_theirs() -> None:
    objects = {*test_tensorrt_contract.OBJECTS, *test_build_contract.OBJECTS}
    objects |= {'driver', '_driver', 'trt', 'stream.stream', '_event', '_context'}
    found = set()
    for name, tree in trees():
        for call in calls(tree):
            owner = ast.unparse(call.func).rpartition('.')[0].rpartition('.')[2]
            if name in SCANNED and (owner in objects or called(call) == '_function'):
                found |= {(called(call), keyword.arg) for keyword in call.keywords}
    assert found == KEYWORDS


def test_members_of_pycudas_objects_are_theirs() -> None:
    has = cuda_members('pycuda')
    found = {
        (PYCUDA_OBJECTS[ast.unparse(node.value)], node.attr)
        for node in ast.walk(tree_of('cuda/with_pycuda.py'))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in PYCUDA_OBJECTS
    }
    assert len(found) >= 12
    assert [(owner, member) for owner, member in found if member not in has[owner]] == []


def test_flags_of_cuda_bindings_are_theirs() -> None:
    has = {name for names in cuda_members('cuda-bindings').values() for name in names}
    named = {
        node.attr
        for node in ast.walk(tree_of('cuda/with_bindings.py'))
        if isinstance(node, ast.Attribute) and node.attr.upper().startswith('CU')
    }
    assert len(named) >= 6
    assert named <= has
