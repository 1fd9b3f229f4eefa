"""Engines are built in a child process when that is permitted, and come from the cache after."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
import os
from pathlib import Path
import signal
import sys
import threading

from edge_seg.backends.base import CompileOptions
from edge_seg.backends.build_progress import BuildProgress, EngineBuilding
from edge_seg.errors import CompileFailed
from edge_seg.models.package import ModelPackage, open_package
from edge_seg.runtime.building.build_cache import BuildCache
from edge_seg.runtime.building.engine_builds import EngineBuilds
from fake_backend import write_model
import psutil
import pytest

FAKES = Path(__file__).parent / 'engine_fakes'
WAIT_S = 30.0


@dataclass
class Bench:
    """A model, a cache, and a backend that does as it is told in the child."""

    package: ModelPackage
    root: Path
    backend: EngineBuilding
    seen: list[BuildProgress] = field(default_factory=list)
    cancelled: threading.Event = field(default_factory=threading.Event)
    on_step: Callable[[BuildProgress], None] = lambda progress: None

    def engine(self, do: str = 'build', mode: str = 'on_demand') -> Path:
        """Ask for the engine."""

        def note(progress: BuildProgress) -> None:
            self.seen.append(progress)
            self.on_step(progress)

        builds = EngineBuilds(
            BuildCache(self.root, limit_bytes=1 << 20),
            CompileOptions(extra=(('do', do),)),
            mode,  # type: ignore[arg-type]
            self.cancelled,
            note,
        )
        return builds.engine(self.package, self.backend, self.package.path / 'net.onnx').file

    def entries(self) -> list[str]:
        """Names of what is in the cache, locks and timings aside."""
        names = [p.name for p in self.root.iterdir()] if self.root.exists() else []
        return [name for name in names if name.endswith('.plan')]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv('PYTHONPATH', str(FAKES))
    monkeypatch.syspath_prepend(str(FAKES))
    from scripted_builder import ScriptedBuilder

    package = open_package(write_model(tmp_path / 'store', 'net', '1'))
    made = Bench(package, tmp_path / 'cache', ScriptedBuilder())
    yield made
    made.cancelled.set()
    sys.modules.pop('scripted_builder', None)
    children = [c for c in psutil.Process().children() if 'engine_worker' in ' '.join(c.cmdline())]
    assert children == []


def test_an_engine_is_built_once_with_progress(bench: Bench) -> None:
    entry = bench.engine()
    assert entry.read_bytes() == b'engine'
    assert [each.share for each in bench.seen] == [0.0, 0.25, 0.5, 0.75]
    bench.seen.clear()
    assert bench.engine() == entry
    assert bench.seen == []


def test_without_permission_the_command_is_named_and_nothing_is_built(bench: Bench) -> None:
    with pytest.raises(CompileFailed) as caught:
        bench.engine(mode='never')
    assert 'net@1 has no scripted engine' in caught.value.met
    assert 'edge_seg model build-engine net@1' in caught.value.remedy
    assert bench.entries() == []


def test_without_permission_an_engine_that_is_there_is_used(bench: Bench) -> None:
    entry = bench.engine()
    assert bench.engine(mode='never') == entry


def test_a_foreign_engine_under_the_right_name_is_never_served(bench: Bench) -> None:
    entry = bench.engine()
    entry.write_bytes(b'foreign')
    with pytest.raises(CompileFailed, match='it is foreign') as caught:
        bench.engine(mode='never')
    assert 'edge_seg model build-engine net@1' in caught.value.remedy
    assert bench.engine().read_bytes() == b'engine'
    assert entry.with_name(f'{entry.name}.bad').read_bytes() == b'foreign'


def test_an_engine_in_the_store_is_used_as_it_is(bench: Bench) -> None:
    cache = BuildCache(bench.root, limit_bytes=1)
    builds = EngineBuilds(cache, CompileOptions(), 'never', bench.cancelled)
    engine = bench.package.path / 'net.plan'
    assert builds.engine(bench.package, bench.backend, engine).file == engine


def test_a_refusal_in_the_child_arrives_as_it_was_said(bench: Bench) -> None:
    with pytest.raises(CompileFailed) as caught:
        bench.engine('refuse')
    assert (caught.value.met, caught.value.expected, caught.value.remedy) == (
        'it is refused', 'another', 'try another'
    )  # fmt: skip


@pytest.mark.parametrize(
    ('do', 'how'), [('crash', 'signal 11'), ('exit', 'exit code 3.*the driver went away')]
)
def test_a_child_that_dies_is_a_failed_build(bench: Bench, do: str, how: str) -> None:
    with pytest.raises(CompileFailed, match=how):
        bench.engine(do)
    assert bench.entries() == []


def test_a_build_is_cancelled_at_its_next_step(bench: Bench) -> None:
    def stop(progress: BuildProgress) -> None:
        if progress.phase == 'waiting':
            bench.cancelled.set()

    bench.on_step = stop
    with pytest.raises(CompileFailed, match=r'net@1 was cancelled'):
        bench.engine('wait')
    assert bench.entries() == []


def test_a_build_that_does_not_listen_is_killed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('edge_seg.runtime.building.engine_child.CANCEL_GRACE_S', 0.2)
    bench.on_step = lambda progress: bench.cancelled.set()
    with pytest.raises(CompileFailed, match='cancelled'):
        bench.engine('hang')


def test_a_child_killed_during_a_build_leaves_a_cache_that_works(bench: Bench) -> None:
    def kill(progress: BuildProgress) -> None:
        bench.on_step = lambda progress: None  # what it said before it died is still read
        for child in psutil.Process().children():
            if 'engine_worker' in ' '.join(child.cmdline()):
                os.kill(child.pid, signal.SIGKILL)

    bench.on_step = kill
    gate = bench.package.path / 'gate'
    gate.touch()
    with pytest.raises(CompileFailed, match='signal 9'):
        bench.engine()
    assert bench.entries() == []
    gate.unlink()
    assert bench.engine().read_bytes() == b'engine'


def test_two_nodes_build_an_engine_once(bench: Bench) -> None:
    answers: list[Path] = []
    threads = [threading.Thread(target=lambda: answers.append(bench.engine())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert len(answers) == 2
    assert len(bench.seen) == 4  # one build's worth of progress


def test_an_error_of_the_listener_ends_the_child(bench: Bench) -> None:
    def fail(progress: BuildProgress) -> None:
        raise KeyboardInterrupt

    bench.on_step = fail
    with pytest.raises(KeyboardInterrupt):
        bench.engine('hang')
