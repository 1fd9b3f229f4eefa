"""Rollouts over several nodes, without ROS."""

import itertools

from edge_seg.errors import IntegrityError, ModelNotFound
from edge_seg.runtime.managing.managed_node import Cancelled, NodeState, Observation
from edge_seg.runtime.managing.manager_state import ManagerSettings
from edge_seg.runtime.managing.model_memory import ModelMemory
from edge_seg.runtime.managing.model_node import Reply, ServedModel
from edge_seg.runtime.managing.rollout import RolloutFailed, RolloutLimits
from edge_seg.runtime.managing.rollout_desk import RolloutDesk
from edge_seg.runtime.managing.store_watch import StoreWatch
from fake_managed_nodes import FakeNode, FakePacer
import pytest

SETTINGS = ManagerSettings(rollout=RolloutLimits(answer_timeout_s=1.0, load_timeout_s=30.0))


class Fleet:
    """A camera without models and three nodes that serve one."""

    def __init__(self) -> None:
        self.pacer = FakePacer()
        self.journal: list[str] = []
        self.camera = FakeNode('/camera', self.pacer, self.journal, NodeState.ACTIVE)
        self.camera.status = None
        self.nodes = [
            FakeNode(name, self.pacer, self.journal, NodeState.ACTIVE)
            for name in ('/a', '/b', '/c')
        ]
        self.desk = self.make_desk()

    def make_desk(self, *, watch: StoreWatch | None = None) -> RolloutDesk:
        return RolloutDesk(
            (self.camera, *self.nodes), SETTINGS, watch=watch, tell=lambda _text: None
        )

    @property
    def models(self) -> list[str]:
        return [node.model for node in self.nodes]


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


def test_nodes_load_the_model_one_after_the_other(fleet):
    assert fleet.desk.run('floor@2', pacer=fleet.pacer) == 'floor@2 serves on /a, /b, /c'
    assert fleet.journal == ['/a model=floor@2', '/b model=floor@2', '/c model=floor@2']
    assert fleet.models == ['floor@2'] * 3
    assert not fleet.desk.failed


def test_one_rejection_takes_all_back_and_later_nodes_are_never_touched(fleet):
    fleet.nodes[1].rejects['floor@2'] = 'warm: output is not finite'
    with pytest.raises(RolloutFailed, match='warm: output is not finite') as caught:
        fleet.desk.run('floor@2', pacer=fleet.pacer)
    assert fleet.models == ['floor@1'] * 3
    assert '/c model=floor@2' not in fleet.journal
    assert 'all back: /a serves floor@1, /b serves floor@1' in caught.value.met
    # The node that refused kept its model: a rollback would have sent it one further back.
    assert 'rollback /b' not in fleet.journal


def test_a_model_that_does_not_resolve_is_refused_with_the_nodes_reason(fleet):
    fleet.nodes[0].refuses['floor@9'] = 'no version 9 of floor'
    with pytest.raises(RolloutFailed, match='no version 9 of floor'):
        fleet.desk.run('floor@9', pacer=fleet.pacer)
    assert fleet.models == ['floor@1'] * 3


def test_without_a_usable_rollback_the_parameter_is_set_to_what_was_served(fleet):
    fleet.nodes[0].can_roll_back = False
    fleet.nodes[0].parameter = 'floor@latest'  # would now resolve to the new version
    fleet.nodes[1].rejects['floor@2'] = 'check: 3 outputs'
    with pytest.raises(RolloutFailed, match='all back'):
        fleet.desk.run('floor@2', pacer=fleet.pacer)
    assert fleet.models == ['floor@1'] * 3
    assert fleet.journal[-1] == '/a model=floor@1'


def test_a_node_that_cannot_go_back_is_named(fleet):
    fleet.nodes[0].can_roll_back = False
    fleet.nodes[0].refuses['floor@1'] = 'floor@1 was removed'
    fleet.nodes[1].rejects['floor@2'] = 'load: crashed'
    with pytest.raises(RolloutFailed, match='NOT all could be taken back: /a.*was removed'):
        fleet.desk.run('floor@2', pacer=fleet.pacer)
    assert fleet.desk.failed


def test_a_request_whose_answer_was_lost_is_found_on_the_status(fleet):
    fleet.nodes[1].loses_answers = True
    fleet.desk.run('floor@2', pacer=fleet.pacer)
    assert fleet.models == ['floor@2'] * 3


def test_a_node_that_dies_during_the_load_fails_the_rollout(fleet):
    fleet.pacer.at(0.5, fleet.nodes[0].die)
    with pytest.raises(RolloutFailed, match='died while loading'):
        fleet.desk.run('floor@2', pacer=fleet.pacer)


def test_a_node_that_was_killed_and_started_again_during_the_load_is_not_waited_for(fleet):
    fleet.pacer.at(1.5, lambda: fleet.nodes[1].restart(old_one_still_listed=True))
    with pytest.raises(RolloutFailed, match='/b: it died.*NOT all could be taken back: /b'):
        fleet.desk.run('floor@2', pacer=fleet.pacer)
    assert fleet.models[0] == 'floor@1'
    assert fleet.pacer.time < 5.0


def test_a_node_that_comes_back_with_another_model_before_the_end_fails_the_rollout(fleet):
    first = fleet.nodes[0]

    def relaunch() -> None:
        first.restart()
        first.state, first.model = NodeState.ACTIVE, 'floor@1'
        first.status = ServedModel('floor@1', 'serving', 'floor@1', 1, '')

    fleet.pacer.at(2.5, relaunch)
    with pytest.raises(RolloutFailed, match='/a: in the end it serves floor@1.*all back'):
        fleet.desk.run('floor@2', pacer=fleet.pacer)
    assert fleet.models == ['floor@1'] * 3


def test_that_the_model_before_passed_its_trial_is_no_success_of_the_request(fleet):
    node = fleet.nodes[0]
    load = node._load

    def begin(model: str) -> None:
        load(model)
        # As told by a node whose probation of the model before ends during this load.
        node.status = ServedModel('floor@1', 'serving', model, node.status.request_id, '')

    node._load = begin
    node.rejects['floor@2'] = 'warm: output is not finite'
    with pytest.raises(RolloutFailed, match='output is not finite'):
        fleet.desk.run('floor@2', pacer=fleet.pacer)
    assert fleet.models == ['floor@1'] * 3


def test_latest_means_to_all_what_it_meant_to_the_first(fleet):
    fleet.nodes[0].resolves['floor@latest'] = 'floor@2'
    for node in fleet.nodes[1:]:
        node.resolves['floor@latest'] = 'floor@3'  # published meanwhile
    fleet.desk.run('floor@latest', pacer=fleet.pacer)
    assert fleet.models == ['floor@2'] * 3


def test_a_load_that_never_ends_fails_the_rollout(fleet):
    node = fleet.nodes[2]
    node._load = lambda model: setattr(  # stays at 'build' until somebody wants the old one
        node,
        'status',
        ServedModel(node.model, 'build', model, node.status.request_id + 1, ''),
    )
    with pytest.raises(RolloutFailed, match='stage build after 30 s'):
        fleet.desk.run('floor@2', pacer=fleet.pacer)
    assert fleet.models == ['floor@1'] * 3


def test_a_request_by_somebody_else_is_noticed(fleet):
    other = ServedModel('floor@3', 'serving', 'floor@3', 9, '')
    fleet.pacer.at(0.5, lambda: setattr(fleet.nodes[0], 'status', other))
    with pytest.raises(RolloutFailed, match='somebody else requested'):
        fleet.desk.run('floor@2', pacer=fleet.pacer)


def test_a_node_on_probation_goes_back_at_once(fleet):
    status = ServedModel('floor@2', 'probation', 'floor@2', 2, '')

    def begin_probation(model: str) -> None:
        fleet.nodes[0].status = status
        fleet.nodes[0].model, fleet.nodes[0].previous_model = 'floor@2', 'floor@1'

    fleet.nodes[0]._load = begin_probation
    fleet.pacer.cancel_at = 1.0
    with pytest.raises(Cancelled):
        fleet.desk.run('floor@2', pacer=fleet.pacer)
    fleet.pacer.cancel_at = float('inf')
    fleet.desk.roll_back(pacer=fleet.pacer)
    assert fleet.models == ['floor@1'] * 3
    assert fleet.pacer.time < 2.0


def test_nodes_that_serve_it_already_are_skipped_and_not_rolled_back(fleet):
    fleet.nodes[0]._serve('floor@2')
    fleet.nodes[0].previous_model = 'floor@0'
    fleet.desk.run('floor@2', pacer=fleet.pacer)
    fleet.desk.roll_back(pacer=fleet.pacer)
    assert fleet.models == ['floor@2', 'floor@1', 'floor@1']


def test_rollback_takes_the_last_rollout_back_newest_first(fleet):
    fleet.desk.run('floor@2', pacer=fleet.pacer)
    fleet.journal.clear()
    fleet.desk.roll_back(pacer=fleet.pacer)
    assert fleet.journal == ['rollback /c', 'rollback /b', 'rollback /a']
    assert fleet.models == ['floor@1'] * 3


def test_rollback_after_a_failed_rollout_takes_back_the_one_before(fleet):
    fleet.desk.run('floor@2', pacer=fleet.pacer)
    fleet.nodes[1].rejects['floor@3'] = 'warm: output is not finite'
    with pytest.raises(RolloutFailed):
        fleet.desk.run('floor@3', pacer=fleet.pacer)
    fleet.journal.clear()
    fleet.desk.roll_back(pacer=fleet.pacer)
    assert fleet.models == ['floor@1'] * 3
    # By then the previous model of /a is floor@3, which must not serve even for a moment.
    assert 'rollback /a' not in fleet.journal


def test_a_cancelled_rollback_goes_on_where_it_was(fleet):
    fleet.desk.run('floor@2', pacer=fleet.pacer)
    fleet.nodes[0].can_roll_back = False  # it must load, while the others are back at once
    fleet.pacer.cancel_at = fleet.pacer.time + 0.5
    with pytest.raises(Cancelled):
        fleet.desk.roll_back(pacer=fleet.pacer)
    assert fleet.models == ['floor@2', 'floor@1', 'floor@1']
    assert fleet.desk.failed
    fleet.pacer.cancel_at = float('inf')
    fleet.desk.roll_back(pacer=fleet.pacer)
    assert fleet.models == ['floor@1'] * 3


def test_a_rollback_that_failed_on_one_node_can_be_repeated(fleet):
    fleet.desk.run('floor@2', pacer=fleet.pacer)
    fleet.nodes[1].can_roll_back = False
    fleet.nodes[1].refuses['floor@1'] = 'the store is not there'
    with pytest.raises(RolloutFailed, match='/b.*the store is not there'):
        fleet.desk.roll_back(pacer=fleet.pacer)
    assert fleet.models == ['floor@1', 'floor@2', 'floor@1']
    fleet.nodes[1].refuses.clear()
    fleet.desk.roll_back(pacer=fleet.pacer)
    assert fleet.models == ['floor@1'] * 3


def test_nodes_that_went_back_by_themselves_do_not_go_there_again(fleet):
    fleet.desk.run('floor@2', pacer=fleet.pacer)
    fleet.nodes[1].can_roll_back = False
    desk = fleet.make_desk()
    with pytest.raises(RolloutFailed, match='/b'):
        desk.roll_back(pacer=fleet.pacer)
    fleet.nodes[1].can_roll_back = True
    desk.roll_back(pacer=fleet.pacer)
    assert fleet.models == ['floor@1'] * 3


def test_a_node_that_must_load_what_it_goes_back_to_is_waited_for(fleet):
    fleet.desk.run('floor@2', pacer=fleet.pacer)
    for node in fleet.nodes:

        def load_instead(timeout_s: float, node: FakeNode = node) -> Reply:
            node._load('floor@1')
            return Reply(False, f'no answer within {timeout_s:.1f} s', answered=False)

        node.roll_back = load_instead
    told = fleet.make_desk().roll_back(pacer=fleet.pacer)
    assert told == 'rolled back: /c to floor@1, /b to floor@1, /a to floor@1'
    assert fleet.models == ['floor@1'] * 3


def test_a_new_manager_lets_every_node_go_back_by_itself(fleet):
    fleet.desk.run('floor@2', pacer=fleet.pacer)
    assert fleet.make_desk().roll_back(pacer=fleet.pacer).startswith('rolled back')
    assert fleet.models == ['floor@1'] * 3


def test_rollback_without_anything_to_go_back_to_says_so(fleet):
    with pytest.raises(RolloutFailed, match='there is no previous model'):
        fleet.desk.roll_back(pacer=fleet.pacer)


@pytest.mark.parametrize('state', [NodeState.UNCONFIGURED, NodeState.ABSENT, NodeState.FINALIZED])
def test_nothing_is_touched_when_a_node_cannot_load(fleet, state):
    fleet.nodes[2].state = state
    with pytest.raises(RolloutFailed, match=f'/c is {state.value}'):
        fleet.desk.run('floor@2', pacer=fleet.pacer)
    assert fleet.journal == []


def test_an_empty_target_names_the_parameter(fleet):
    with pytest.raises(RolloutFailed, match='rollout_model is empty'):
        fleet.desk.run('', pacer=fleet.pacer)


def test_a_cancelled_rollout_goes_on_where_it_was_and_can_be_taken_back_whole(fleet):
    fleet.pacer.cancel_at = 1.5
    with pytest.raises(Cancelled):
        fleet.desk.run('floor@2', pacer=fleet.pacer)
    assert '~/rollback' in fleet.desk.summary
    fleet.pacer.cancel_at = float('inf')
    fleet.desk.run('floor@2', pacer=fleet.pacer)
    assert fleet.models == ['floor@2'] * 3
    fleet.desk.roll_back(pacer=fleet.pacer)
    assert fleet.models == ['floor@1'] * 3


@pytest.fixture
def memory(fleet):
    """Remember /a, launched with 'floor', serving floor@2 after a rollout."""
    memory = ModelMemory((fleet.camera, *fleet.nodes), answer_timeout_s=1.0)
    fleet.nodes[0].parameter = 'floor'
    memory.note_launch(fleet.nodes[0])
    fleet.nodes[0]._serve('floor@2')
    memory.note_served()
    fleet.nodes[0].restart()
    fleet.nodes[0].parameter = 'floor'
    return memory


def test_a_restarted_node_loads_what_it_served_before(fleet, memory):
    memory.restore(fleet.nodes[0])
    assert fleet.journal == ['/a model=floor@2']
    memory.restore(fleet.nodes[0])  # a further attempt with the same process
    assert fleet.journal == ['/a model=floor@2']


def test_a_restarted_node_that_was_launched_with_another_model_loads_that(fleet, memory):
    fleet.nodes[0].parameter = 'floor@7'
    memory.restore(fleet.nodes[0])
    assert fleet.journal == []


def test_a_node_that_the_manager_did_not_see_start_is_left_alone(fleet, memory):
    fleet.nodes[1].restart()
    memory.restore(fleet.nodes[1])
    assert fleet.journal == []


def test_an_adopted_node_comes_back_with_what_it_served(fleet, memory):
    node = fleet.nodes[0]
    node.model = node.parameter = 'floor@2'
    node.status = ServedModel('floor@2', 'serving', 'floor@2', 1, '')
    node.state = NodeState.ACTIVE
    memory.note_adoption(node)
    memory.note_served()
    node.restart()
    node.parameter = 'floor@1'
    memory.restore(node)
    assert fleet.journal == [f'{node.name} model=floor@2']


def test_adopting_does_not_forget_what_a_node_was_launched_with(fleet, memory):
    node = fleet.nodes[0]
    memory.note_launch(node)
    memory.note_served()
    memory.note_adoption(node)
    node.restart()
    node.parameter = 'floor@3'
    memory.restore(node)
    assert fleet.journal == []


def test_a_model_that_was_loaded_by_path_is_not_guessed_from_its_name(fleet, memory):
    node = fleet.nodes[0]
    node.state, node.status = (
        NodeState.ACTIVE,
        ServedModel('floor@2', 'serving', '/tmp/floor', 3, ''),
    )
    memory.note_served()
    node.restart()
    memory.restore(node)
    assert fleet.journal == []


def killed_serving(node: FakeNode, model: str) -> None:
    node.state = NodeState.SILENT  # killed, and listed for a while yet
    node.status = ServedModel(model, 'serving', model, 9, '')


def test_a_node_killed_right_after_a_swap_comes_back_with_what_it_served_last(fleet, memory):
    node = fleet.nodes[0]
    killed_serving(node, 'floor@3')
    node.restart()  # sooner than anybody looked
    memory.note_served()
    memory.restore(node)
    assert fleet.journal == ['/a model=floor@3']


def test_a_node_killed_during_a_rollout_comes_back_with_what_it_served_before(fleet, memory):
    node = fleet.nodes[0]
    killed_serving(node, 'floor@3')
    memory.note_rollout([Observation(n.name, n.state, n.incarnation()) for n in fleet.nodes])
    memory.note_served()
    node.restart()
    memory.restore(node)
    assert fleet.journal == ['/a model=floor@2']


def test_a_node_without_models_is_not_asked_to_load_one(fleet, memory):
    fleet.camera.parameter = None
    memory.note_launch(fleet.camera)
    fleet.camera.restart()
    memory.restore(fleet.camera)
    assert fleet.journal == []


def watched(versions: list[str]) -> StoreWatch:
    answers = itertools.chain(versions, itertools.repeat(versions[-1]))

    def resolve(reference: str) -> str:
        version = next(answers)
        if not version:
            raise ModelNotFound(f'no {reference}')
        return version

    return StoreWatch('floor@latest', resolve)


def look_after(desk: RolloutDesk, pacer: FakePacer, *, times: int) -> None:
    for _ in range(times):
        pacer.time += 2.0
        desk.look_after(pacer=pacer)


def test_what_is_newly_published_is_rolled_out_and_what_was_there_is_not(fleet):
    desk = fleet.make_desk(watch=watched(['floor@2', 'floor@2', 'floor@3']))
    look_after(desk, fleet.pacer, times=2)
    assert fleet.models == ['floor@1'] * 3
    look_after(desk, fleet.pacer, times=1)
    assert fleet.models == ['floor@3'] * 3


def test_the_first_model_of_an_empty_store_is_new(fleet):
    desk = fleet.make_desk(watch=watched(['', '', 'floor@2']))
    look_after(desk, fleet.pacer, times=3)
    assert fleet.models == ['floor@2'] * 3


def test_a_publication_waits_until_all_nodes_can_load_it(fleet):
    fleet.nodes[1].state = NodeState.UNCONFIGURED
    desk = fleet.make_desk(watch=watched(['floor@1', 'floor@2']))
    look_after(desk, fleet.pacer, times=5)
    assert fleet.models == ['floor@1'] * 3
    fleet.nodes[1].state = NodeState.ACTIVE
    look_after(desk, fleet.pacer, times=1)
    assert fleet.models == ['floor@2'] * 3


def test_a_bad_publication_is_tried_once(fleet):
    fleet.nodes[1].rejects['floor@2'] = 'probation: slower than the budget'
    desk = fleet.make_desk(watch=watched(['floor@1', 'floor@2']))
    look_after(desk, fleet.pacer, times=6)
    assert fleet.journal.count('/a model=floor@2') == 1
    assert fleet.models == ['floor@1'] * 3
    assert desk.failed


def test_a_store_that_cannot_be_read_is_told_once_and_survived(fleet, caplog):
    def resolve(_reference: str) -> str:
        raise IntegrityError('labels.json is not JSON')

    desk = fleet.make_desk(watch=StoreWatch('floor', resolve))
    look_after(desk, fleet.pacer, times=5)
    assert sum('labels.json is not JSON' in line for line in caplog.messages) == 1
