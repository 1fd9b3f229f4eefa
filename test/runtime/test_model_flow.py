"""Models come, serve, fail and give way: loader, succession and slot wired as in the node."""

from collections.abc import Callable, Iterator
from pathlib import Path
import threading
import time

from edge_seg.backends.base import CompileOptions
from edge_seg.backends.registry import BackendChoice
from edge_seg.errors import (
    BackendUnavailable,
    LoadInProgress,
    LoadStage,
    ModelNotFound,
    ModelRejected,
    NoActiveModel,
    NotBuilt,
)
from edge_seg.models.layered import LayeredStore
from edge_seg.models.package import ModelPackage
from edge_seg.models.store import ModelStore
from edge_seg.runtime.building.build_cache import BuildCache
from edge_seg.runtime.building.builder import Builder
from edge_seg.runtime.building.engine_builds import Prebuilt
from edge_seg.runtime.loading.candidate import CandidateFactory, CandidateOptions
from edge_seg.runtime.loading.compiling import Prepared
from edge_seg.runtime.loading.idle_moments import IdleMoments
from edge_seg.runtime.loading.probation import ProbationRules
from edge_seg.runtime.loading.refusals import RETRY_S
from fake_backend import FakeBackend, FakeRegistry, Faults, write_model
from model_flow import ModelFlow
import psutil
import pytest

TRIAL = ProbationRules(frames=5, seconds=60.0, shadow_every=1, max_errors_in_a_row=3)
Make = Callable[..., ModelFlow]


@pytest.fixture
def flow(tmp_path: Path) -> Iterator[Make]:
    """Make a flow over a store with net@1 and net@2; every model is closed once at the end."""
    made: list[ModelFlow] = []
    for version in ('1', '2'):
        write_model(tmp_path, 'net', version)

    def make(**options: object) -> ModelFlow:
        made.append(ModelFlow(tmp_path, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for each in made:
        each.close()
        models = [model for backend in each.backends for model in backend.made]
        for model in models:
            assert model_closed(model)
            assert model.used_after_close == 0


def model_closed(model: object) -> bool:
    """Wait for closers in the background."""
    for thread in threading.enumerate():
        if thread.name == 'model_closer':
            thread.join(30.0)
    return model.closed == 1


def serving(flow: ModelFlow, request: str) -> None:
    ended = len(flow.outcomes)
    flow.loader.request(request)
    success, message = flow.wait_for_outcomes(ended + 1)
    assert success, message


def test_a_model_passes_every_stage_in_order(flow: Make) -> None:
    node = flow()
    node.loader.load('net@1')

    assert node.stages == [
        'resolve', 'verify', 'build', 'load', 'check', 'warm', 'swap', 'serving',
    ]  # fmt: skip
    assert node.board.status.model == 'net@1'
    assert node.announced == ['net@1']
    assert node.loader.served_reference == 'net@1'
    assert node.frame()


def test_a_new_request_is_never_told_with_the_stage_of_the_one_before(flow: Make) -> None:
    node = flow()
    for request in ('net@1', 'net@2'):
        node.loader.load(request)
    with pytest.raises(ModelRejected):
        node.loader.load('net@99')

    first_stages = {}
    for status in node.history:
        first_stages.setdefault(status.request_id, status.stage)
    assert first_stages == {1: 'resolve', 2: 'resolve', 3: 'resolve'}


def test_a_path_is_served_and_named_by_its_path(flow: Make, tmp_path: Path) -> None:
    elsewhere = write_model(tmp_path / 'elsewhere', 'other', '1')
    node = flow()
    node.loader.load(str(elsewhere))

    assert node.loader.served_reference == str(elsewhere)


@pytest.mark.parametrize(
    ('faults', 'stage', 'words'),
    [
        (Faults(compile_error='operator 17 is unknown'), 'load', 'operator 17 is unknown'),
        (Faults(infer_error='device lost'), 'warm', 'device lost'),
        (Faults(nan=True), 'warm', 'NaN'),
        (Faults(constant=True), 'warm', 'for every class and pixel'),
        (Faults(bug=True), 'load', 'ZeroDivisionError: a bug in a backend'),
    ],
)
def test_a_refused_candidate_names_its_stage_and_leaves_the_old_one_serving(
    flow: Make, faults: Faults, stage: str, words: str
) -> None:
    node = flow()
    node.loader.load('net@1')
    node.backends[0].faults['2'] = faults

    node.loader.request('net@2')
    success, message = node.wait_for_outcomes()

    assert not success
    assert message.startswith(f'{stage}: ')
    assert words in message
    status = node.board.status
    assert (status.stage, status.model, status.requested) == ('rejected', 'net@1', 'net@2')
    assert words in status.last_error
    assert node.loader.served_reference == 'net@1'
    assert node.frame()


def test_a_changed_artifact_is_refused_at_verify(flow: Make, tmp_path: Path) -> None:
    (tmp_path / 'net' / '2' / 'net.onnx').write_bytes(b'something else')
    node = flow()
    node.loader.load('net@1')
    node.loader.request('net@2')

    success, message = node.wait_for_outcomes()

    assert not success
    assert message.startswith('verify: ')
    assert 'net.onnx' in message


def test_wrong_output_shape_is_refused_at_check(flow: Make, tmp_path: Path) -> None:
    write_model(
        tmp_path, 'four', '1', classes=[{'name': f'c{i}', 'color': [i, i, i]} for i in range(4)]
    )
    node = flow()

    with pytest.raises(ModelRejected) as refusal:
        node.loader.load('four')

    assert refusal.value.stage is LoadStage.CHECK
    assert node.board.status.stage == 'rejected'


def test_a_model_larger_than_the_memory_is_refused_before_it_is_loaded(
    flow: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = flow()
    node.loader.load('net@1')
    nearly_full = psutil.virtual_memory()._replace(available=64 << 20)
    monkeypatch.setattr(psutil, 'virtual_memory', lambda: nearly_full)

    with pytest.raises(ModelRejected, match=r'64 MiB are available.*swap: exclusive') as refusal:
        node.loader.load('net@2')

    assert refusal.value.stage is LoadStage.LOAD
    assert len(node.backends[0].made) == 1
    assert node.loader.served_reference == 'net@1'


def test_a_candidate_that_cannot_be_announced_is_refused_at_swap_and_closed(flow: Make) -> None:
    node = flow()
    node.loader.load('net@1')
    node.unannounceable.add('net@2')

    with pytest.raises(ModelRejected, match='swap: RuntimeError: the publisher is gone'):
        node.loader.load('net@2')

    assert [model.closed for model in node.backends[0].made] == [0, 1]
    assert node.board.status.model == 'net@1'
    assert node.frame()


def test_an_unknown_name_is_refused_at_once(flow: Make) -> None:
    node = flow()
    node.loader.load('net@1')

    with pytest.raises(ModelRejected, match='resolve: .*no version 9'):
        node.loader.request('net@9')

    assert node.board.status.model == 'net@1'


def test_a_second_request_is_refused_while_one_is_served(flow: Make) -> None:
    backend = FakeBackend()
    node = flow(backends=[backend])
    node.loader.load('net@1')
    backend.gate = threading.Event()
    node.loader.request('net@2')

    with pytest.raises(LoadInProgress, match="'net@2' is being loaded"):
        node.loader.request('net@1')
    backend.gate.set()

    assert node.wait_for_outcomes()[0]
    assert node.board.status.model == 'net@2'


@pytest.mark.parametrize('is_told', [True, False])
def test_a_load_that_ends_after_close_is_turned_away(flow: Make, is_told: bool) -> None:
    backend = FakeBackend()
    node = flow(backends=[backend])
    node.loader.load('net@1')
    backend.gate = threading.Event()
    node.loader.request('net@2')
    assert backend.reached.wait(30.0)

    if is_told:
        assert not node.loader.close(0.01)
    node.succession.close()
    backend.gate.set()

    if is_told:  # then nobody else is: the next node may be at work already
        assert node.loader.close(30.0)
        assert node.outcomes == []
        assert node.history[-1].stage == 'none'
    else:
        assert node.wait_for_outcomes() == (False, 'swap: the node is being cleaned up')
    assert [model.closed for model in backend.made] == [1, 1]


@pytest.mark.parametrize('keep_previous', [True, False])
def test_a_model_that_nobody_needs_is_closed_between_frames(
    flow: Make, keep_previous: bool
) -> None:
    node = flow(keep_previous=keep_previous, rules=ProbationRules(frames=1))
    models = node.backends[0].made
    waited: list[list[int]] = []

    class Moments(IdleMoments):
        def wait(self) -> None:
            waited.append([model.closed for model in models])

    node.succession.idle = Moments()
    for request in ('net@1', 'net@2', 'net@1'):
        node.loader.load(request)
        node.frame()
        node.frame()
        assert all(model_closed(model) for model in models[: -2 if keep_previous else -1])

    assert waited == ([[0, 0, 0]] if keep_previous else [[0, 0], [1, 0, 0]])


def test_rollback_brings_the_previous_model_back_without_loading(flow: Make) -> None:
    node = flow()
    node.loader.load('net@1')
    serving(node, 'net@2')
    made = len(node.backends[0].made)

    assert node.loader.roll_back() == 'net@1'
    assert node.board.status.model == 'net@1'
    assert node.loader.roll_back() == 'net@2'
    assert len(node.backends[0].made) == made
    assert node.announced == ['net@1', 'net@2', 'net@1', 'net@2']


def test_rollback_loads_the_previous_model_when_it_is_not_kept(flow: Make) -> None:
    node = flow(keep_previous=False)
    node.loader.load('net@1')
    serving(node, 'net@2')
    assert model_closed(node.backends[0].made[0])

    assert node.loader.roll_back() == ''

    assert node.wait_for_outcomes(2) == (True, 'serving net@1')


def test_rollback_without_a_previous_model_says_so(flow: Make) -> None:
    node = flow()
    node.loader.load('net@1')

    with pytest.raises(ModelNotFound, match='no previous model'):
        node.loader.roll_back()


def test_rollback_after_a_withdrawal_has_nowhere_to_go(flow: Make) -> None:
    node = flow(rules=TRIAL)
    node.loader.load('net@1')
    serving(node, 'net@2')
    node.backends[0].faults['2'].infer_error = 'device lost'
    node.frames(3)
    assert node.board.status.model == 'net@1'

    with pytest.raises(ModelNotFound, match='no previous model'):
        node.loader.roll_back()


def test_rollback_after_a_withdrawal_goes_to_what_served_before_the_present_model(
    flow: Make, tmp_path: Path
) -> None:
    write_model(tmp_path, 'net', '3')
    node = flow(rules=TRIAL)
    node.loader.load('net@1')
    serving(node, 'net@2')
    node.frames(TRIAL.frames)
    assert node.board.status.stage == 'serving'
    serving(node, 'net@3')
    node.backends[0].faults['3'].infer_error = 'device lost'
    node.frames(3)
    assert node.board.status.model == 'net@2'

    ended = len(node.outcomes)
    assert node.loader.roll_back() == ''
    assert node.wait_for_outcomes(ended + 1) == (True, 'serving net@1')


def test_a_good_model_passes_probation(flow: Make) -> None:
    node = flow(rules=TRIAL)
    node.loader.load('net@1')
    serving(node, 'net@2')
    assert node.board.status.stage == 'probation'

    node.frames(TRIAL.frames)

    assert node.board.status.stage == 'serving'
    assert node.board.status.model == 'net@2'
    assert node.withdrawn == []


def test_the_first_model_is_not_on_probation(flow: Make) -> None:
    node = flow(rules=TRIAL)
    node.loader.load('net@1')

    assert node.board.status.stage == 'serving'


@pytest.mark.parametrize(
    ('faults', 'words'),
    [
        (Faults(infer_error='device lost'), '3 errors in a row: device lost'),
        (Faults(one_class=True), 'one class only'),
        (Faults(shifted=True), 'agree with those of the previous model'),
    ],
)
def test_a_model_that_fails_on_probation_is_withdrawn(
    flow: Make, faults: Faults, words: str
) -> None:
    node = flow(rules=TRIAL)
    node.loader.load('net@1')
    serving(node, 'net@2')
    node.backends[0].faults['2'].__dict__.update(vars(faults))

    node.frames(TRIAL.frames)

    assert len(node.withdrawn) == 1
    assert words in node.withdrawn[0]
    status = node.board.status
    assert (status.stage, status.model) == ('rejected', 'net@1')
    assert words in status.last_error
    assert node.announced[-1] == 'net@1'
    assert node.loader.served_reference == 'net@1'
    assert node.frame()


def test_errors_after_probation_bring_the_kept_model_back(flow: Make) -> None:
    node = flow(rules=TRIAL)
    node.loader.load('net@1')
    serving(node, 'net@2')
    node.frames(TRIAL.frames)
    node.backends[0].faults['2'].infer_error = 'device lost'

    node.frames(2)
    assert node.board.status.model == 'net@2'
    node.frames(1)

    assert node.board.status.model == 'net@1'
    assert node.withdrawn == ['net@2: 3 errors in a row: device lost']


def test_errors_with_nothing_to_go_back_to_try_the_next_backend(flow: Make) -> None:
    first, second = FakeBackend('first'), FakeBackend('second')
    node = flow(rules=TRIAL, backends=[first, second])
    node.loader.load('net@1')
    first.faults['1'].infer_error = 'device lost'
    node.frames(4)
    assert node.worn_out == ['device lost']

    node.loader.fall_back()

    assert node.wait_for_outcomes() == (True, 'serving net@1')
    assert node.board.status.backend == 'second 1.0'
    assert node.board.status.not_taken == 'first: it failed'
    assert node.frame()


def test_a_backend_that_was_named_is_not_replaced(flow: Make) -> None:
    node = flow(backend='fake')
    node.loader.load('net@1')

    with pytest.raises(BackendUnavailable, match='nothing is left to take over'):
        node.loader.fall_back()


def test_exclusive_swap_never_holds_two_models(flow: Make) -> None:
    backend = FakeBackend()
    node = flow(backends=[backend], exclusive=True, keep_previous=False)
    node.loader.load('net@1')
    backend.gate = threading.Event()
    node.loader.request('net@2')
    node.slot_is_empty()
    assert backend.made[0].closed == 1
    backend.gate.set()

    assert node.wait_for_outcomes() == (True, 'serving net@2')


def test_the_gap_of_an_exclusive_swap_is_announced_and_measured(flow: Make) -> None:
    backend = FakeBackend()
    node = flow(backends=[backend], exclusive=True, keep_previous=False)
    node.loader.load('net@1')
    first = len(node.history)
    backend.gate = threading.Event()
    begin_s = time.monotonic()
    node.loader.request('net@2')
    node.slot_is_empty()
    backend.gate.set()
    node.wait_for_outcomes()
    longest_s = time.monotonic() - begin_s

    told = [(status.stage, status.model) for status in node.history[first:]]
    assert told.index(('load', '')) < told.index(('serving', 'net@2'))
    assert ('load', 'net@1') not in told
    assert 0.0 < node.board.status.gap_s <= longest_s
    assert node.history[first - 1].gap_s == 0.0


def test_a_failed_exclusive_swap_is_never_told_as_a_success(flow: Make) -> None:
    backend = FakeBackend(faults={'2': Faults(nan=True)})
    node = flow(backends=[backend], exclusive=True, keep_previous=False)
    node.loader.load('net@1')
    node.loader.request('net@2')
    node.wait_for_outcomes()

    ends = [status.stage for status in node.history if status.request_id == 2 and status.at_rest]
    assert set(ends) == {'rejected'}
    assert node.board.status.gap_s > 0.0


def test_exclusive_swap_loads_the_old_model_again_when_the_new_one_fails(flow: Make) -> None:
    backend = FakeBackend(faults={'2': Faults(nan=True)})
    node = flow(backends=[backend], exclusive=True, keep_previous=False)
    node.loader.load('net@1')
    node.loader.request('net@2')

    success, message = node.wait_for_outcomes()

    assert not success
    assert 'NaN' in message
    assert (node.board.status.stage, node.board.status.model) == ('rejected', 'net@1')
    assert node.frame()


def test_the_first_frame_of_each_model_is_told(flow: Make) -> None:
    node = flow()
    node.loader.load('net@1')
    node.frame('a')
    node.frame('b')
    serving(node, 'net@2')
    node.frame('c')
    node.loader.roll_back()
    node.frame('d')
    node.frame('e')

    assert [answer.header for answer in node.first_answers] == ['a', 'c', 'd']


def test_watching_loads_a_newly_published_version(flow: Make, tmp_path: Path) -> None:
    node = flow()
    node.loader.load('net')
    node.loader.follow()
    assert node.board.status.request_id == 1
    write_model(tmp_path, 'net', '3')

    node.loader.follow()

    assert node.wait_for_outcomes() == (True, 'serving net@3')


def test_watching_does_not_try_a_refused_version_again(flow: Make, tmp_path: Path) -> None:
    backend = FakeBackend(faults={'3': Faults(nan=True)})
    node = flow(backends=[backend])
    node.loader.load('net')
    write_model(tmp_path, 'net', '3')
    node.loader.follow()
    assert not node.wait_for_outcomes()[0]

    node.loader.follow()

    assert node.board.status.request_id == 2


@pytest.mark.parametrize('exclusive', [False, True])
def test_watching_tries_again_by_and_by_what_only_lacked_memory(
    flow: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exclusive: bool
) -> None:
    node = flow(exclusive=exclusive, keep_previous=not exclusive)
    node.loader.load('net')
    roomy = psutil.virtual_memory()._replace(available=1 << 40)
    # What served is loaded again after a failed exclusive swap, and finds room.
    seen = iter([roomy._replace(available=64 << 20)])
    monkeypatch.setattr(psutil, 'virtual_memory', lambda: next(seen, roomy))
    write_model(tmp_path, 'net', '3')
    node.loader.follow()
    assert 'MiB are available' in node.wait_for_outcomes()[1]

    node.loader.follow()
    assert node.board.status.request_id == 2  # not at once

    later_s = time.monotonic() + 2 * RETRY_S
    monkeypatch.setattr(time, 'monotonic', lambda: later_s)
    node.loader.follow()
    if exclusive:  # each try would take the masks away
        assert node.board.status.request_id == 2
    else:
        assert node.wait_for_outcomes(2) == (True, 'serving net@3')


def test_watching_does_not_take_up_again_what_a_rollback_gave_up(
    flow: Make, tmp_path: Path
) -> None:
    backend = FakeBackend()
    node = flow(backends=[backend])
    node.loader.load('net@1')
    serving(node, 'net')
    write_model(tmp_path, 'net', '3')
    backend.gate = threading.Event()
    node.loader.follow()
    node.loader.roll_back()
    node.loader.roll_back()  # there and back again
    backend.gate.set()
    assert 'cancelled' in node.wait_for_outcomes(2)[1]
    assert node.board.status.model == 'net@2'

    node.loader.follow()

    assert node.board.status.request_id == 3


def test_watching_follows_again_to_a_refused_version_that_was_asked_for_since(
    flow: Make, tmp_path: Path
) -> None:
    backend = FakeBackend(faults={'2': Faults(nan=True)})
    node = flow(backends=[backend])
    store = ModelStore(tmp_path)
    store.set_label('net', 'stable', '1')
    node.loader.load('net')
    store.set_label('net', 'stable', '2')
    node.loader.follow()
    assert not node.wait_for_outcomes()[0]
    backend.faults['2'].nan = False

    serving(node, 'net@2')
    store.set_label('net', 'stable', '1')
    serving(node, 'net')
    store.set_label('net', 'stable', '2')
    node.loader.follow()

    assert node.wait_for_outcomes(4) == (True, 'serving net@2')


def test_many_reloads_close_every_model_once(flow: Make) -> None:
    node = flow(rules=ProbationRules(frames=2, shadow_every=1))
    node.loader.load('net@1')
    stop = threading.Event()

    def stream() -> None:
        while not stop.is_set():
            node.frame()

    threads = [threading.Thread(target=stream)]
    for thread in threads:
        thread.start()
    for turn in range(60):
        serving(node, f'net@{2 - turn % 2}')
    stop.set()
    for thread in threads:
        thread.join(30.0)

    alive = [model for model in node.backends[0].made if not model_closed(model)]
    assert len(alive) <= 2
    node.close()
    assert {model.closed for model in node.backends[0].made} == {1}


def test_nothing_is_left_to_serve_after_close(flow: Make) -> None:
    node = flow()
    node.loader.load('net@1')
    node.close()

    with pytest.raises(NoActiveModel), node.slot.lease():
        pass
    assert node.board.status.stage == 'none'


def test_a_free_choice_passes_over_a_backend_without_an_engine(tmp_path: Path) -> None:
    write_model(tmp_path, 'net', '1')
    backends = [FakeBackend('slow_to_build'), FakeBackend('ready')]

    prepared = prepare_with(tmp_path, backends, backend='auto')

    assert prepared.choice.backend.name == 'ready'
    assert [(r.name, r.reason) for r in prepared.choice.rejected] == [
        ('slow_to_build', 'no engine; build one')
    ]


@pytest.mark.parametrize(
    ('names', 'backend'),
    [(['slow_to_build', 'ready'], 'slow_to_build'), (['slow_to_build'], 'auto')],
)
def test_a_missing_engine_is_said_when_nothing_else_may_run(
    tmp_path: Path, names: list[str], backend: str
) -> None:
    write_model(tmp_path, 'net', '1')

    with pytest.raises(ModelRejected, match='build: no engine; build one'):
        prepare_with(tmp_path, [FakeBackend(name) for name in names], backend=backend)


def prepare_with(folder: Path, backends: list[FakeBackend], *, backend: str) -> Prepared:
    """Prepare net with a builder that has no engine for the backend slow_to_build."""

    class NoEngine(Builder):
        def prebuilt(
            self,
            package: ModelPackage,
            choice: BackendChoice,
            *,
            refused: str = '',
            build_engines: bool = True,
        ) -> Prebuilt:
            if choice.backend.name == 'slow_to_build':
                raise NotBuilt('no engine', remedy='build one')
            return Prebuilt(package.artifact_for([choice.artifact_format]))

    options = CandidateOptions(backend, CompileOptions(), warmup_runs=1)
    factory = CandidateFactory(
        LayeredStore(ModelStore(folder)),
        options,
        NoEngine(BuildCache(folder / 'cache', limit_bytes=1), options.compile),
        choose_backend=FakeRegistry(backends),
    )
    return factory.prepare(factory.resolve('net'), on_stage=lambda stage: None)
