"""Engine files: who may have written them, what their header, record and key say. No fakes."""

from collections.abc import Callable
import contextlib
from dataclasses import fields, replace
import hashlib
import json
import os
from pathlib import Path
import stat
import sys

from edge_seg.backends.base import CompileOptions
from edge_seg.backends.tensorrt.cuda.driver import DeviceInfo
from edge_seg.backends.tensorrt.files.engine import check_machine, read_engine
from edge_seg.backends.tensorrt.files.header import HEADER_BYTES, read_plan_header
from edge_seg.backends.tensorrt.files.key import (
    built_for,
    BuiltFor,
    EngineKey,
    EngineRecord,
    NO_TF32,
    read_record,
    record_path,
)
from edge_seg.backends.tensorrt.library.version import parse_version, TensorRtVersion
from edge_seg.errors import CompileFailed, PrebuiltUnusable
from fake_machine import FakeMachine
from fake_plan import plan_header, plan_of
from hypothesis import given
from hypothesis import strategies as st
import pytest
from tiny_models import TinyModel

ORIN = DeviceInfo(0, 'Orin', (8, 7), 16, True, '12.6')
KEY = EngineKey('ab' * 32, built_for(ORIN, '10.3.0'), 'fp16', ('image 1x3x8x12',), 1 << 30)


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    """Give an engine file as it must lie on disk."""
    tmp_path.chmod(0o700)
    path = tmp_path / 'net.plan'
    path.write_bytes(plan_header('10.3.0') + b'weights')
    path.chmod(0o600)
    return path


def record_beside(engine: Path, key: EngineKey = KEY) -> None:
    digest = hashlib.sha256(engine.read_bytes()).hexdigest()
    record_path(engine).write_text(EngineRecord(key, digest, key.digest()).to_json(), 'utf-8')


def test_a_private_engine_is_read(engine: Path) -> None:
    found = read_engine(engine)
    assert found.blob == engine.read_bytes()
    assert found.header.version == TensorRtVersion(10, 3, 0)
    assert found.record is None


@pytest.mark.parametrize('mode', [0o620, 0o602, 0o666, 0o664])
def test_an_engine_that_others_may_write_is_refused(engine: Path, mode: int) -> None:
    engine.chmod(mode)
    with pytest.raises(CompileFailed, match=f'mode {mode:04o}') as refusal:
        read_engine(engine)
    assert refusal.value.remedy.startswith(f'chmod go-w {engine}')


@pytest.mark.parametrize('mode', [0o770, 0o707, 0o1777])
def test_a_directory_that_others_may_write_is_refused(engine: Path, mode: int) -> None:
    engine.parent.chmod(mode)
    with pytest.raises(CompileFailed, match='writable by others') as refusal:
        read_engine(engine)
    # Nobody is told to change /tmp.
    remedy = 'move the engine' if mode & 0o1000 else f'chmod go-w {engine.parent}'
    assert refusal.value.remedy.startswith(remedy)


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can give files away')
def test_an_engine_of_another_user_is_refused(engine: Path) -> None:
    os.chown(engine, 12345, -1)
    with pytest.raises(CompileFailed, match='belongs to user 12345'):
        read_engine(engine)


def test_what_is_no_file_is_refused(engine: Path) -> None:
    engine.unlink()
    with pytest.raises(CompileFailed, match='cannot be read: No such file'):
        read_engine(engine)
    os.mkfifo(engine, 0o600)
    with pytest.raises(CompileFailed, match='is not a file'):
        read_engine(engine)
    with pytest.raises(CompileFailed, match='is not a directory'):
        read_engine(engine.parent / 'nowhere' / 'net.plan')


def test_a_file_that_the_system_cannot_open_is_refused(engine: Path) -> None:
    with pytest.raises(CompileFailed, match='cannot be read: File name too long'):
        read_engine(engine.with_name('n' * 300))
    os.mknod(engine.with_name('socket.plan'), stat.S_IFSOCK | 0o600)
    with pytest.raises(PrebuiltUnusable, match='cannot be read: No such device'):
        read_engine(engine.with_name('socket.plan'))


def test_a_link_to_a_file_that_others_may_write_is_refused(engine: Path) -> None:
    engine.chmod(0o666)
    (engine.parent / 'link.plan').symlink_to(engine)
    with pytest.raises(CompileFailed, match='mode 0666'):
        read_engine(engine.parent / 'link.plan')


def test_a_link_lies_in_a_folder_that_others_may_not_write_either(
    engine: Path, tmp_path: Path
) -> None:
    shared = tmp_path / 'shared'
    shared.mkdir()
    shared.chmod(0o777)
    (shared / 'link.plan').symlink_to(engine)
    with pytest.raises(CompileFailed, match='shared is writable by others'):
        read_engine(shared / 'link.plan')
    (tmp_path / 'link.plan').symlink_to(shared / 'net.plan')
    (shared / 'net.plan').write_bytes(engine.read_bytes())
    (shared / 'net.plan').chmod(0o600)
    with pytest.raises(CompileFailed, match='shared is writable by others'):
        read_engine(tmp_path / 'link.plan')


def test_a_link_in_the_middle_of_the_way_is_held_to_the_same_rule(
    engine: Path, tmp_path: Path
) -> None:
    shared = tmp_path / 'shared'
    shared.mkdir()
    (shared / 'file').symlink_to(engine)
    (shared / 'folder').symlink_to(engine.parent)
    (tmp_path / 'first.plan').symlink_to(Path('shared', 'file'))
    (tmp_path / 'first').symlink_to(Path('shared', '..', 'shared', 'folder'))
    ways = tmp_path / 'first.plan', tmp_path / 'first' / 'net.plan'
    for way in ways:
        assert read_engine(way).blob == engine.read_bytes()
    shared.chmod(0o777)
    for way in ways:
        with pytest.raises(CompileFailed, match='shared is writable by others'):
            read_engine(way)


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can give links away')
def test_a_link_of_another_user_is_refused(engine: Path, tmp_path: Path) -> None:
    shared = tmp_path / 'shared'
    shared.mkdir()
    shared.chmod(0o1777)
    (shared / 'folder').symlink_to(engine.parent)
    assert read_engine(shared / 'folder' / 'net.plan').blob
    os.chown(shared / 'folder', 12345, -1, follow_symlinks=False)
    with pytest.raises(CompileFailed, match='folder belongs to user 12345'):
        read_engine(shared / 'folder' / 'net.plan')


def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / 'a.plan').symlink_to('b.plan')
    (tmp_path / 'b.plan').symlink_to('a.plan')
    with pytest.raises(PrebuiltUnusable, match='cannot be read: Too many levels'):
        read_engine(tmp_path / 'a.plan')


@pytest.mark.parametrize(('mode', 'refused'), [(0o777, True), (0o1777, False), (0o755, False)])
def test_a_folder_further_up_in_which_others_can_exchange_folders_is_refused(
    engine: Path, mode: int, refused: bool
) -> None:
    middle = engine.parent / 'middle'
    inner = middle / 'inner'
    inner.mkdir(parents=True, mode=0o700)
    engine.rename(inner / 'net.plan')
    middle.chmod(mode)
    if refused:
        with pytest.raises(CompileFailed, match='middle is writable by others'):
            read_engine(inner / 'net.plan')
    else:
        assert read_engine(inner / 'net.plan').blob


def test_a_folder_of_the_users_own_group_is_no_danger_further_up(engine: Path) -> None:
    middle = engine.parent / 'middle'
    (middle / 'inner').mkdir(parents=True, mode=0o700)
    engine.rename(middle / 'inner' / 'net.plan')
    middle.chmod(0o775)
    if os.geteuid() != os.getegid():
        os.chmod(middle, 0o755)
    assert read_engine(middle / 'inner' / 'net.plan').blob


def test_a_record_that_others_may_write_is_refused(engine: Path) -> None:
    record_beside(engine)
    record_path(engine).chmod(0o666)
    with pytest.raises(CompileFailed, match=r'net\.plan\.json is writable by others'):
        read_engine(engine)


def test_a_pipe_in_place_of_the_record_stops_nobody(engine: Path) -> None:
    os.mkfifo(record_path(engine), 0o600)
    with pytest.raises(CompileFailed, match='is not a file'):
        read_engine(engine)


@pytest.mark.parametrize(
    ('blob', 'words'),
    [
        (b'', 'has 0 bytes'),
        (b'ftrt', 'has 4 bytes'),
        (b'\x08\x07\x12\x07pytorch' + bytes(40), 'under a wrong name'),
        (b'ftrt\x01\x00\x00\x00' + bytes(40), 'begins with'),
    ],
)
def test_what_is_no_engine_is_refused(engine: Path, blob: bytes, words: str) -> None:
    engine.write_bytes(blob)
    with pytest.raises(CompileFailed, match=words):
        read_engine(engine)


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_the_header_gives_back_the_version(version: tuple[int, int, int]) -> None:
    text = '.'.join(map(str, version))
    found = read_plan_header(plan_header(text), 'net.plan').version
    assert str(found) == text


@given(st.binary(max_size=2 * HEADER_BYTES))
def test_no_bytes_crash_the_header_parser(blob: bytes) -> None:
    with contextlib.suppress(CompileFailed):
        read_plan_header(blob, 'net.plan')


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('10.3.0', (10, 3, 0)),
        ('10.13.3.9.post1', (10, 13, 3)),
        ('11.4', (11, 4, 0)),
        ('10.0.0b6', (10, 0, 0)),
        ('10.x', (10, 0, 0)),
    ],
)
def test_versions_are_read(text: str, expected: tuple[int, int, int]) -> None:
    assert parse_version(text) == expected


def test_what_is_no_version_is_refused() -> None:
    with pytest.raises(ValueError, match='no version'):
        parse_version('unknown')


def test_a_record_is_read_and_must_describe_the_file(engine: Path) -> None:
    record_beside(engine)
    found = read_engine(engine)
    assert found.record is not None
    assert found.record.key == KEY
    engine.write_bytes(engine.read_bytes() + b'more')
    with pytest.raises(CompileFailed, match='is not the engine that net.plan.json describes'):
        read_engine(engine)


@pytest.mark.parametrize(
    'text',
    [
        *['', '{', '[]', '{"key": 1}', '{"key": {}, "plan_sha256": ""}'],
        pytest.param('[' * 500_000, id='nested'),
    ],
)
def test_a_damaged_record_is_an_error_and_no_missing_one(engine: Path, text: str) -> None:
    record_path(engine).write_text(text, 'utf-8')
    with pytest.raises(CompileFailed, match='is damaged'):
        read_record(engine)


LEAVES = [
    *[(field.name,) for field in fields(EngineRecord)],
    *[('key', field.name) for field in fields(EngineKey)],
    *[('key', 'machine', field.name) for field in fields(BuiltFor)],
]


@pytest.mark.parametrize('wrong', [None, 12.6, True, [1], {'x': 'y'}], ids=repr)
@pytest.mark.parametrize('leaf', LEAVES, ids='.'.join)
def test_a_record_with_another_type_of_value_is_damaged(
    engine: Path, leaf: tuple[str, ...], wrong: object
) -> None:
    record_beside(engine)
    content = json.loads(record_path(engine).read_text('utf-8'))
    holder = content
    for name in leaf[:-1]:
        holder = holder[name]
    holder[leaf[-1]] = wrong
    record_path(engine).write_text(json.dumps(content), 'utf-8')
    with pytest.raises(PrebuiltUnusable, match=r'net\.plan\.json is damaged'):
        read_engine(engine)


@pytest.mark.parametrize(('name', 'wrong'), [('cuda', 12), ('sm_count', '16'), ('device', 7)])
def test_a_number_is_no_text_in_a_record(engine: Path, name: str, wrong: object) -> None:
    record_beside(engine, replace(KEY, machine=replace(KEY.machine, **{name: wrong})))
    with pytest.raises(PrebuiltUnusable, match=f'{name} is {wrong!r}'):
        read_engine(engine)


def test_an_unreadable_record_is_an_error(engine: Path) -> None:
    record_path(engine).mkdir()
    with pytest.raises(CompileFailed, match='is not a file'):
        read_record(engine)


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'tensorrt': '10.13.3'}, 'TensorRT 10.3.0, here is 10.13.3'),
        ({'device': 'RTX'}, 'GPU Orin, here is RTX'),
        ({'compute_capability': '8.9'}, 'compute capability 8.7, here is 8.9'),
        ({'sm_count': 8}, 'multiprocessors 16, here is 8'),
        ({'cuda': '12.2'}, r'a driver of CUDA 12\.6, here is one of 12\.2'),
    ],
)
def test_an_engine_recorded_for_another_machine_is_refused(
    engine: Path, change: dict[str, object], words: str
) -> None:
    record_beside(engine)
    found = read_engine(engine)
    here = built_for(ORIN, '10.3.0')
    check_machine(found, here, remedy='rebuild')
    with pytest.raises(CompileFailed, match=words):
        check_machine(found, replace(here, **change), remedy='rebuild')  # type: ignore[arg-type]


def test_a_newer_driver_keeps_the_engine(engine: Path) -> None:
    record_beside(engine)
    check_machine(
        read_engine(engine), replace(built_for(ORIN, '10.3.0'), cuda='13.0'), remedy='rebuild'
    )


def test_an_engine_without_a_record_is_refused_or_by_name_left_to_tensorrt(
    any_machine: Callable[..., FakeMachine], caplog: pytest.LogCaptureFixture
) -> None:
    machine, model = any_machine(), TinyModel()
    machine.devices(replace(ORIN, name='Orin NX'))  # TensorRT itself would take it there
    engine = machine.engine(model, recorded=False)
    with pytest.raises(CompileFailed, match=r'net\.plan has no record') as refusal:
        machine.backend.compile_model(engine, model.spec, CompileOptions())
    assert 'edge_seg model build-engine tiny@1' in refusal.value.remedy
    assert 'set tensorrt_unrecorded: true' in refusal.value.remedy
    taken = CompileOptions(extra=(('unrecorded', 'true'),))
    machine.backend.compile_model(engine, model.spec, taken).close()
    assert 'net.plan has no record: whether it was built for this GPU' in caplog.text


@pytest.mark.parametrize('name', [field.name for field in fields(EngineKey)])
def test_everything_in_the_key_changes_its_digest(name: str) -> None:
    old = getattr(KEY, name)
    if isinstance(old, tuple):
        new: object = (*old, 'another')
    elif isinstance(old, int):
        new = old + 1
    elif isinstance(old, str):
        new = f'{old}x'
    else:
        new = replace(old, sm_count=99)
    changed = replace(KEY, **{name: new})  # type: ignore[arg-type]
    assert changed.digest() != KEY.digest()
    assert EngineRecord.from_json(EngineRecord(changed, 'ff', 'aa').to_json()).key == changed


def test_the_key_is_the_same_in_every_process() -> None:
    assert KEY.digest() == replace(KEY).digest()
    assert len(KEY.digest()) == 64


def test_a_recorded_precision_is_reported_and_held_against_the_wish(
    any_machine: Callable[..., FakeMachine],
) -> None:
    machine, model = any_machine(), TinyModel()
    engine = machine.engine(model)
    record_beside(engine, replace(KEY, machine=built_for(ORIN, machine.version)))
    served = machine.backend.compile_model(engine, model.spec, CompileOptions(precision='fp16'))
    assert served.report.precision == 'fp16'
    served.close()
    for other in ('int8', 'fp32'):
        with pytest.raises(CompileFailed, match=f'computes in fp16; expected {other}'):
            machine.backend.compile_model(engine, model.spec, CompileOptions(precision=other))


def test_an_engine_that_may_compute_in_tf32_is_not_the_fp32_that_is_named(
    any_machine: Callable[..., FakeMachine],
) -> None:
    machine, model = any_machine(), TinyModel()
    engine = machine.engine(model)
    key = replace(KEY, machine=built_for(ORIN, machine.version), precision='fp32')
    record_beside(engine, key)
    machine.backend.compile_model(engine, model.spec, CompileOptions()).close()
    named = CompileOptions(precision='fp32')
    with pytest.raises(CompileFailed, match='may compute in TF32.*; expected fp32') as refusal:
        machine.backend.compile_model(engine, model.spec, named)
    assert 'build-engine tiny@1 --precision fp32' in refusal.value.remedy
    record_beside(engine, replace(key, compatibility=(NO_TF32,)))
    served = machine.backend.compile_model(engine, model.spec, named)
    assert served.report.precision == 'fp32'
    served.close()


def test_a_record_that_claims_another_precision_than_the_engine_is_refused(
    any_machine: Callable[..., FakeMachine],
) -> None:
    machine, model = any_machine(), TinyModel()
    plan = plan_of(model, machine.version)
    plan.layers = [{'LayerType': 'CaskConvolution', 'Inputs': [{'Format/Datatype': 'Float'}]}]
    engine = machine.engine(plan)
    key = replace(KEY, machine=built_for(ORIN, machine.version))
    record_beside(engine, key)
    with pytest.raises(CompileFailed, match='computes in fp32, and its record says fp16'):
        machine.backend.compile_model(engine, model.spec, CompileOptions(precision='fp16'))
    record_beside(engine, replace(key, precision='mixed'))
    machine.backend.compile_model(engine, model.spec, CompileOptions()).close()
    record_beside(engine, replace(key, precision='unknown'))
    served = machine.backend.compile_model(engine, model.spec, CompileOptions())
    served.close()
    assert served.report.precision == 'fp32'


def test_a_recorded_engine_of_another_machine_never_reaches_tensorrt(
    any_machine: Callable[..., FakeMachine],
) -> None:
    machine, model = any_machine(), TinyModel()
    engine = machine.engine(model)
    record_beside(
        engine, replace(KEY, machine=replace(built_for(ORIN, machine.version), device='Xavier'))
    )
    with pytest.raises(CompileFailed, match='GPU Xavier, here is Orin') as refusal:
        machine.backend.compile_model(engine, model.spec, CompileOptions())
    assert refusal.value.remedy == 'build it here: edge_seg model build-engine tiny@1'
    assert machine.gpu.calls == []
    assert 'tensorrt' in sys.modules


def test_an_engine_recorded_for_another_accelerator_is_refused(
    any_machine: Callable[..., FakeMachine],
) -> None:
    machine, model = any_machine(), TinyModel()
    engine = machine.engine(model)
    record_beside(engine, replace(KEY, machine=built_for(ORIN, machine.version), dla_core=1))

    def load(core: str) -> str:
        wanted = CompileOptions(extra=(('dla_core', core),))
        served = machine.backend.compile_model(engine, model.spec, wanted)
        served.close()
        return served.report.device

    assert load('1').endswith('with DLA core 1')
    with pytest.raises(CompileFailed, match='was built for DLA core 1; expected DLA core 0'):
        load('0')
    with pytest.raises(CompileFailed, match='expected the GPU; set tensorrt_dla_core: 1'):
        load('-1')
