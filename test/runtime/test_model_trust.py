"""Only proven models are gone back to, what was asked for is kept, and no end is told twice."""

from pathlib import Path
import threading

from edge_seg.errors import (
    BackendUnavailable,
    LoadInProgress,
    ModelNotFound,
    ModelRejected,
    NoActiveModel,
    StoreError,
)
from edge_seg.models.store import ModelStore
from edge_seg.runtime.loading.probation import ProbationRules
from fake_backend import FakeBackend, Faults, write_model
from model_flow import ModelFlow
import pytest
import test_model_flow
from test_model_flow import Make, model_closed, serving, TRIAL

flow = test_model_flow.flow


def proven(node: ModelFlow, request: str) -> None:
    """Let a model serve and pass its probation."""
    serving(node, request)
    node.frames(TRIAL.frames)
    assert node.board.status.stage == 'serving'


def break_model(node: ModelFlow, version: str, **faults: object) -> None:
    """Let a version go wrong from now on."""
    vars(node.backends[0].faults[version]).update(faults)


def told_of(node: ModelFlow, request_id: int) -> list[str]:
    """Give the stages that were told of a request."""
    return [status.stage for status in node.history if status.request_id == request_id]


# Probation


@pytest.mark.parametrize('again', ['2', '3'])
def test_a_model_that_replaces_one_on_probation_is_judged_by_the_proven_one(
    flow: Make, tmp_path: Path, again: str
) -> None:
    write_model(tmp_path, 'net', '3')
    node = flow(rules=TRIAL)
    node.loader.load('net@1')
    for version in ('2', again):
        serving(node, f'net@{version}')
        break_model(node, version, shifted=True)
    first_bad = node.backends[0].made[1]
    assert model_closed(first_bad)

    node.frames(TRIAL.frames)

    assert node.board.status.model == 'net@1'
    assert node.withdrawn[0].startswith(f'net@{again}: its masks agree with')
    with pytest.raises(ModelNotFound, match='no previous model'):
        node.loader.roll_back()


def test_a_model_rolled_back_on_probation_is_not_gone_back_to(flow: Make) -> None:
    node = flow(rules=TRIAL)
    node.loader.load('net@1')
    serving(node, 'net@2')

    assert node.loader.roll_back() == 'net@1'

    status = node.board.status
    assert (status.stage, status.model) == ('rejected', 'net@1')
    assert status.last_error == 'probation: net@2 was withdrawn: it was rolled back by hand'
    assert model_closed(node.backends[0].made[1])
    with pytest.raises(ModelNotFound, match='no previous model'):
        node.loader.roll_back()


def test_a_previous_model_with_a_bug_does_not_speak_against_the_new_one(flow: Make) -> None:
    node = flow(rules=TRIAL)
    node.loader.load('net@1')
    serving(node, 'net@2')
    break_model(node, '1', infer_bug='no such buffer')

    node.frames(TRIAL.frames)

    assert (node.board.status.stage, node.board.status.model) == ('serving', 'net@2')


def test_a_model_that_comes_back_by_a_load_is_not_tried_against_the_one_it_replaces(
    flow: Make,
) -> None:
    node = flow(rules=TRIAL, keep_previous=False)
    node.loader.load('net@1')
    proven(node, 'net@2')

    assert node.loader.roll_back() == ''

    node.wait_for_outcomes(2)
    assert (node.board.status.stage, node.board.status.model) == ('serving', 'net@1')


def test_after_a_reload_of_the_same_model_a_rollback_leads_to_the_other_one(flow: Make) -> None:
    node = flow(rules=TRIAL)
    node.loader.load('net@1')
    proven(node, 'net@2')
    proven(node, 'net@2')

    assert node.loader.roll_back() == ''
    assert node.wait_for_outcomes(3) == (True, 'serving net@1')


# What is told


@pytest.mark.parametrize('faults', [Faults(), Faults(shifted=True)])
def test_a_verdict_is_not_told_as_the_end_of_a_load_under_way(
    flow: Make, tmp_path: Path, faults: Faults
) -> None:
    write_model(tmp_path, 'net', '3')
    node = flow(rules=TRIAL)
    node.loader.load('net@1')
    serving(node, 'net@2')
    break_model(node, '2', **vars(faults))
    node.backends[0].gate = threading.Event()
    node.loader.request('net@3')
    assert node.backends[0].reached.wait(30.0)
    node.frames(TRIAL.frames)

    assert node.board.status.model == ('net@1' if faults.shifted else 'net@2')
    assert set(told_of(node, 3)) == {'resolve', 'verify', 'build', 'load'}
    node.backends[0].gate.set()
    assert node.wait_for_outcomes(2) == (True, 'serving net@3')
    node.frames(TRIAL.frames)
    assert (node.board.status.stage, node.board.status.model) == ('serving', 'net@3')


def test_a_passed_probation_does_not_hide_a_later_refusal(flow: Make, tmp_path: Path) -> None:
    write_model(tmp_path, 'net', '3')
    node = flow(rules=TRIAL, backends=[FakeBackend(faults={'3': Faults(nan=True)})])
    node.loader.load('net@1')
    serving(node, 'net@2')
    node.loader.request('net@3')
    assert node.loader.request_number == 3
    assert not node.wait_for_outcomes(2)[0]
    assert node.done == [2, 3]

    node.frames(TRIAL.frames)

    status = node.board.status
    assert (status.stage, status.model, status.requested) == ('rejected', 'net@2', 'net@3')
    assert 'NaN' in status.last_error


def test_a_request_that_does_not_resolve_is_told(flow: Make) -> None:
    node = flow()
    node.loader.load('net@1')

    with pytest.raises(ModelRejected):
        node.loader.check('net@9')

    status = node.board.status
    assert (status.stage, status.model, status.requested) == ('rejected', 'net@1', 'net@9')
    assert status.last_error.startswith('resolve: ')
    assert 'no version 9' in status.last_error


def test_a_request_that_does_not_resolve_does_not_hide_a_probation(flow: Make) -> None:
    node = flow(rules=TRIAL)
    node.loader.load('net@1')
    serving(node, 'net@2')

    with pytest.raises(ModelRejected):
        node.loader.check('net@9')

    assert (node.board.status.stage, node.board.status.requested) == ('probation', 'net@2')


# What was asked for


def test_watching_goes_on_after_each_publication(flow: Make, tmp_path: Path) -> None:
    node = flow(rules=TRIAL)
    node.loader.load('net@latest')
    for count, version in enumerate(('3', '4'), start=1):
        write_model(tmp_path, 'net', version)
        node.loader.follow()
        assert node.wait_for_outcomes(count) == (True, f'serving net@{version}')
        node.frames(TRIAL.frames)
    write_model(tmp_path, 'net', '5')
    node.loader.follow()
    node.wait_for_outcomes(3)
    break_model(node, '5', infer_error='device lost')
    node.frames(3)
    node.loader.follow()
    assert node.board.status.model == 'net@4'
    write_model(tmp_path, 'net', '6')
    node.loader.follow()

    assert node.wait_for_outcomes(4) == (True, 'serving net@6')


def test_an_exact_version_is_not_followed(flow: Make, tmp_path: Path) -> None:
    node = flow()
    node.loader.load('net@latest')
    serving(node, 'net@1')
    write_model(tmp_path, 'net', '3')

    node.loader.follow()

    assert node.board.status.requested == 'net@1'


def test_a_refused_request_changes_nothing_of_what_is_reloaded(flow: Make, tmp_path: Path) -> None:
    node = flow(backends=[FakeBackend(faults={'3': Faults(nan=True)})])
    node.loader.load('net@1')
    write_model(tmp_path, 'net', '3')
    node.loader.request('net@3')
    assert not node.wait_for_outcomes()[0]

    node.loader.reload()

    assert node.wait_for_outcomes(2) == (True, 'serving net@1')


def test_watching_leaves_alone_what_was_rolled_back(flow: Make, tmp_path: Path) -> None:
    node = flow()
    node.loader.load('net')
    write_model(tmp_path, 'net', '3')
    node.loader.follow()
    node.wait_for_outcomes()
    node.loader.roll_back()

    node.loader.follow()

    assert (node.board.status.model, node.board.status.request_id) == ('net@2', 2)


def test_watching_leaves_alone_what_failed(flow: Make, tmp_path: Path) -> None:
    node = flow(rules=TRIAL, keep_previous=False)
    node.loader.load('net')
    write_model(tmp_path, 'net', '3')
    node.loader.follow()
    assert node.wait_for_outcomes() == (True, 'serving net@3')
    node.frames(TRIAL.frames)
    break_model(node, '3', infer_error='device lost')
    node.frames(3)
    node.loader.fall_back()
    assert node.wait_for_outcomes(2) == (True, 'serving net@2')

    node.loader.follow()

    assert (node.board.status.model, node.board.status.request_id) == ('net@2', 3)


# A rollback during a load


def test_a_rollback_gives_a_load_up(flow: Make, tmp_path: Path) -> None:
    write_model(tmp_path, 'net', '3')
    node = flow()
    node.loader.load('net@1')
    serving(node, 'net@2')
    backend = node.backends[0]
    backend.gate = threading.Event()
    node.loader.request('net@3')
    assert backend.reached.wait(30.0)

    assert node.loader.roll_back() == 'net@1'
    backend.gate.set()

    assert node.wait_for_outcomes(2) == (False, 'warm: loading was cancelled')
    assert (node.board.status.stage, node.board.status.model) == ('rejected', 'net@1')
    backend.gate = None
    serving(node, 'net@3')


def test_a_rollback_with_nothing_kept_gives_a_load_up_all_the_same(flow: Make) -> None:
    node = flow()
    node.loader.load('net@1')
    backend = node.backends[0]
    backend.gate = threading.Event()
    node.loader.request('net@2')
    assert backend.reached.wait(30.0)

    with pytest.raises(LoadInProgress, match="'net@2' is being loaded"):
        node.loader.roll_back()
    backend.gate.set()

    assert node.wait_for_outcomes() == (False, 'warm: loading was cancelled')
    assert node.board.status.model == 'net@1'


# Swap: exclusive


def test_an_exclusive_swap_that_fails_in_any_way_brings_the_old_model_back(flow: Make) -> None:
    node = flow(exclusive=True, keep_previous=False)
    node.loader.load('net@1')
    node.unannounceable.add('net@2')

    node.loader.request('net@2')

    assert node.wait_for_outcomes() == (False, 'swap: RuntimeError: the publisher is gone')
    assert (node.board.status.stage, node.board.status.model) == ('rejected', 'net@1')
    assert node.frame()
    with pytest.raises(ModelNotFound):
        node.loader.roll_back()


def test_what_an_exclusive_swap_may_bring_back_stays_in_the_store(
    flow: Make, tmp_path: Path
) -> None:
    node = flow(exclusive=True, keep_previous=False)
    node.loader.load('net@1')
    backend = node.backends[0]
    backend.gate = threading.Event()
    node.loader.request('net@2')
    node.slot_is_empty()

    with pytest.raises(StoreError, match='in use'):
        ModelStore(tmp_path).remove('net@1')
    with pytest.raises(LoadInProgress):  # nothing serves: the load is not given up
        node.loader.roll_back()
    backend.gate.set()

    assert node.wait_for_outcomes() == (True, 'serving net@2')
    ModelStore(tmp_path).remove('net@1')


def test_an_exclusive_swap_says_when_nothing_can_be_brought_back(flow: Make) -> None:
    node = flow(exclusive=True, keep_previous=False)
    node.loader.load('net@1')
    node.backends[0].faults['2'] = Faults(nan=True)
    break_model(node, '1', compile_error='out of memory')

    node.loader.request('net@2')
    success, message = node.wait_for_outcomes()

    assert not success
    assert message.startswith('warm: ')
    assert 'NaN' in message
    assert 'nor could net@1 be loaded again (load: out of memory): no model serves' in message
    assert (node.board.status.stage, node.board.status.model) == ('rejected', '')
    with pytest.raises(NoActiveModel, match='set the parameter model'):
        node.loader.reload()


# A model that fails again and again


def test_failing_models_give_way_to_the_previous_model_and_then_to_other_backends(
    flow: Make,
) -> None:
    first, second = FakeBackend('first'), FakeBackend('second')
    node = flow(rules=TRIAL, keep_previous=False, backends=[first, second])
    node.loader.load('net@1')
    proven(node, 'net@2')
    first.faults['2'].infer_error = 'device lost'
    node.frames(3)
    assert node.worn_out == ['device lost']
    node.loader.fall_back()
    assert node.wait_for_outcomes(2) == (True, 'serving net@1')
    assert node.board.status.backend == 'first 1.0'

    first.faults['1'].infer_error = 'device lost'
    node.frames(3)
    node.loader.fall_back()
    assert node.wait_for_outcomes(3) == (True, 'serving net@1')
    assert node.board.status.backend == 'second 1.0'
    with pytest.raises(ModelNotFound):
        node.loader.roll_back()

    second.faults['1'].infer_error = 'device lost'
    node.frames(3)
    node.loader.fall_back()
    assert node.wait_for_outcomes(4)[1].startswith('build: no backend is left')
    with pytest.raises(BackendUnavailable, match='nothing is left to take over from net@1'):
        node.loader.fall_back()
    assert node.board.status.request_id == 5

    first.faults['2'].infer_error = ''
    serving(node, 'net@2')
    assert node.board.status.backend == 'first 1.0'


def test_a_failing_model_is_told_of_again_and_waits_for_a_load_under_way(flow: Make) -> None:
    node = flow(rules=TRIAL, backends=[FakeBackend('first'), FakeBackend('second')])
    node.loader.load('net@1')
    first = node.backends[0]
    first.gate = threading.Event()
    node.loader.request('net@2')
    assert first.reached.wait(30.0)
    first.faults['1'].infer_error = 'device lost'
    first.faults['2'] = Faults(nan=True)
    node.frames(3)
    node.loader.fall_back()
    assert node.board.status.requested == 'net@2'
    first.gate.set()
    assert not node.wait_for_outcomes()[0]

    node.frames(3)
    assert node.worn_out == ['device lost'] * 2
    node.loader.fall_back()

    assert node.wait_for_outcomes(2) == (True, 'serving net@1')
    assert node.board.status.backend == 'second 1.0'
    assert node.frame()


def test_a_model_that_fails_is_not_gone_back_to(flow: Make) -> None:
    node = flow(rules=ProbationRules(frames=0, max_errors_in_a_row=3))
    node.loader.load('net@1')
    break_model(node, '1', infer_error='device lost')
    node.frames(3)
    serving(node, 'net@2')

    assert model_closed(node.backends[0].made[0])
    with pytest.raises(ModelNotFound):
        node.loader.roll_back()
