"""Two who push different models as one version: a version that is there never changes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
import secrets
import shutil
from typing import Any

from edge_seg.errors import StoreError
from edge_seg.models.package import ModelPackage
from edge_seg.models.store import ModelStore
from edge_seg.offline.registry.opening import open_registry
from edge_seg.offline.registry.transfer import push
import pytest

memory = pytest.importorskip(
    'fsspec.implementations.memory', reason='fsspec is not installed: tools/setup_env --tests'
)
CALLS = ('makedirs', 'put_file', 'pipe_file', 'cat_file', 'isdir', 'exists', 'ls', 'rm')


class NoSuchMoment(Exception):
    """There were fewer calls."""


@pytest.fixture
def other(desk: ModelStore, tmp_path: Path) -> ModelPackage:
    """Give another road@1 than the desk has."""
    folder = tmp_path / 'other'
    shutil.copytree(desk.resolve('road@1').path, folder)
    text = (folder / 'manifest.yaml').read_text('utf-8').replace('MIT', 'Apache-2.0')
    (folder / 'manifest.yaml').write_text(text, 'utf-8')
    return desk.resolve(f'{folder}/')


@contextmanager
def before_call(moment: int, act: Callable[[], None]) -> Iterator[Iterator[int]]:
    """Act before the nth call to the file system; give what counts them."""
    calls = count(1)

    def with_act(method: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **options: Any) -> Any:
            if next(calls) == moment:
                act()
            return method(*args, **options)

        return called

    with pytest.MonkeyPatch.context() as patch:
        for name in CALLS:
            method = getattr(memory.MemoryFileSystem, name)
            patch.setattr(memory.MemoryFileSystem, name, with_act(method))
        yield calls


def pushed_with_an_intruder(
    first: ModelPackage, other: ModelPackage, *, moment: int, address: str
) -> tuple[str, ...]:
    """Push one model, and another before the nth call; give the digests that were published."""
    published: list[str] = []

    def attempt(package: ModelPackage) -> None:
        try:
            push(package, open_registry(address))
        except StoreError:
            return
        published.append(package.manifest_sha256)

    with before_call(moment, lambda: attempt(other)) as calls:
        attempt(first)
    if next(calls) <= moment:
        raise NoSuchMoment
    return tuple(published)


def test_of_two_at_once_one_is_refused_whenever_the_other_comes(
    desk: ModelStore, other: ModelPackage
) -> None:
    winners = []
    with suppress(NoSuchMoment):
        for moment in count(1):
            address = f'memory://{secrets.token_hex(4)}/models'
            published = pushed_with_an_intruder(
                desk.resolve('road@1'), other, moment=moment, address=address
            )
            there = [each.model_sha256 for each in open_registry(address).versions('road')]
            assert (moment, there) == (moment, list(published))
            winners += published
    assert len(winners) == moment - 1 > len(CALLS)
    assert len(set(winners)) == 2


def test_a_claim_that_was_left_behind_is_named(
    desk: ModelStore, other: ModelPackage, tmp_path: Path
) -> None:
    registry = open_registry(f'file://{tmp_path}/registry')
    folder = tmp_path / 'registry' / 'road' / '1'
    folder.mkdir(parents=True)
    left = folder / f'{other.manifest_sha256[:16]}.0123.claim'
    left.touch()
    with pytest.raises(StoreError, match=f'if nobody is, remove {left}'):
        push(desk.resolve('road@1'), registry)
    assert push(other, registry).new  # its own, of an attempt before
    left.unlink()
    assert list(folder.glob('*.claim')) == []
