"""The cache of compiled models: whole entries, a limited size, one builder at a time."""

from collections.abc import Callable
import os
from pathlib import Path
import subprocess
import sys
import threading

from edge_seg.errors import CompileFailed, StoreError
from edge_seg.runtime.building.build_cache import BuildCache, cache_key
import pytest

Put = Callable[[str, int, int], Path]


@pytest.fixture
def cache(tmp_path: Path) -> BuildCache:
    return BuildCache(tmp_path / 'cache', limit_bytes=1000)


@pytest.fixture
def put(cache: BuildCache) -> Put:
    """Write an entry of a size, last used at a time."""

    def write(key: str, size: int, used_s: int) -> Path:
        entry = cache.entry(key, '.built')
        entry.write_bytes(b'x' * size)
        os.utime(entry, (used_s, used_s))
        return entry

    return write


def test_a_key_depends_on_every_part_and_on_where_parts_end() -> None:
    keys = {cache_key(parts) for parts in (('ab', 'c'), ('a', 'bc'), ('ab', 'd'), ('ab',))}

    assert len(keys) == 4


def test_the_folder_is_made_for_its_owner_only(cache: BuildCache) -> None:
    folder = cache.entry('key', '.built').parent

    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_others_can_write_to_is_refused(cache: BuildCache, tmp_path: Path) -> None:
    (tmp_path / 'cache').mkdir()
    (tmp_path / 'cache').chmod(0o777)

    with pytest.raises(StoreError, match='written by other users.*chmod 700'):
        cache.entry('key', '.built')


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('not a folder', 'ascii')

    with pytest.raises(StoreError, match='cannot be used'):
        BuildCache(tmp_path / 'file' / 'cache', limit_bytes=1).entry('key', '.built')


def test_using_an_entry_tells_whether_it_exists(cache: BuildCache, put: Put) -> None:
    assert not cache.use(cache.entry('a', '.built'))
    assert cache.use(put('a', 10, 5))


def test_trimming_removes_what_was_not_used_for_longest(cache: BuildCache, put: Put) -> None:
    old, new, newest = put('old', 600, 1), put('new', 600, 2), put('newest', 300, 3)
    cache.trim()

    assert [entry.exists() for entry in (old, new, newest)] == [False, True, True]


def test_the_entry_that_was_just_built_stays_however_large(cache: BuildCache, put: Put) -> None:
    old, built = put('old', 600, 2), put('built', 6000, 1)
    cache.trim(keep=built)

    assert (old.exists(), built.exists()) == (False, True)


def test_trimming_removes_what_a_killed_build_left_and_nothing_that_is_being_built(
    cache: BuildCache,
) -> None:
    left, busy = (cache.entry(cache_key((name,)), '.built') for name in ('left', 'busy'))
    files = [entry.with_name(f'.{entry.name}.x1') for entry in (left, busy)]
    timings = left.with_name('.timings')
    for file in (*files, timings):
        file.write_bytes(b'half')
    with cache.building(busy, cancelled=threading.Event()):
        cache.trim()

    assert [file.exists() for file in (*files, timings)] == [False, True, True]


def test_using_an_entry_keeps_it_from_being_trimmed(cache: BuildCache, put: Put) -> None:
    old, new = put('old', 600, 1), put('new', 600, 2)
    cache.use(old)
    cache.trim()

    assert (old.exists(), new.exists()) == (True, False)


def test_an_entry_set_aside_is_not_used_again(cache: BuildCache, put: Put) -> None:
    entry = put('a', 10, 1)
    cache.set_aside(entry, 'it does not load')

    assert not cache.use(entry)
    assert [path.name for path in entry.parent.iterdir()] == ['a.built.bad']


def test_a_second_builder_waits_for_the_first(cache: BuildCache) -> None:
    entry = cache.entry('a', '.built')
    never = threading.Event()
    inside, leave, second = threading.Event(), threading.Event(), threading.Event()

    def first() -> None:
        with cache.building(entry, cancelled=never):
            inside.set()
            leave.wait(30.0)

    def later() -> None:
        with cache.building(entry, cancelled=never):
            second.set()

    threads = [threading.Thread(target=first), threading.Thread(target=later)]
    threads[0].start()
    assert inside.wait(30.0)
    threads[1].start()
    assert not second.wait(0.3)
    leave.set()
    assert second.wait(30.0)
    for thread in threads:
        thread.join(30.0)


def test_waiting_for_another_builder_can_be_cancelled(cache: BuildCache) -> None:
    entry = cache.entry('a', '.built')
    cancelled = threading.Event()
    cancelled.set()
    with (
        cache.building(entry, cancelled=threading.Event()),
        pytest.raises(CompileFailed, match='cancelled'),
        cache.building(entry, cancelled=cancelled),
    ):
        pass


def test_a_killed_builder_leaves_the_entry_free(cache: BuildCache) -> None:
    entry = cache.entry('a', '.built')
    code = (
        'import os, signal, threading\n'
        'from pathlib import Path\n'
        'from edge_seg.runtime.building.build_cache import BuildCache\n'
        f'cache = BuildCache(Path({str(entry.parent)!r}), limit_bytes=1)\n'
        f'with cache.building(Path({str(entry)!r}), cancelled=threading.Event()):\n'
        '    os.kill(os.getpid(), signal.SIGKILL)\n'
    )
    killed = subprocess.run([sys.executable, '-c', code], check=False, timeout=60)
    assert killed.returncode == -9

    with cache.building(entry, cancelled=threading.Event()):
        assert not cache.use(entry)


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can give folders away')
def test_the_folder_of_another_user_is_refused(cache: BuildCache, tmp_path: Path) -> None:
    cache.entry('key', '.plan')
    os.chown(tmp_path / 'cache', 12345, -1)
    with pytest.raises(StoreError, match='belongs to user 12345') as refusal:
        cache.entry('key', '.plan')
    assert 'cache_dir' in refusal.value.remedy
