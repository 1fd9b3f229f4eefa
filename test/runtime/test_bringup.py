"""Bring-up, teardown and single transitions, without ROS."""

from edge_seg.errors import TransitionFailed
from edge_seg.runtime.managing.bringup import Conductor
from edge_seg.runtime.managing.managed_node import (
    Cancelled,
    NodeState,
    NodeTransitionFailed,
    Transition,
)
from edge_seg.runtime.managing.transition_driver import TransitionDriver, TransitionLimits
from fake_managed_nodes import FakeNode, FakePacer
from hypothesis import given
from hypothesis import strategies as st
import pytest

LIMITS = TransitionLimits(reply_timeout_s=5.0, limit_s=60.0, appear_timeout_s=10.0)


def conductor(limits: TransitionLimits = LIMITS) -> Conductor:
    return Conductor(TransitionDriver(limits, tell=lambda _text: None))


def driver(limits: TransitionLimits = LIMITS) -> TransitionDriver:
    return TransitionDriver(limits, tell=lambda _text: None)


@pytest.fixture
def pacer() -> FakePacer:
    return FakePacer()


@pytest.fixture
def journal() -> list[str]:
    return []


@pytest.fixture
def nodes(pacer: FakePacer, journal: list[str]) -> list[FakeNode]:
    return [FakeNode(name, pacer, journal) for name in ('/a', '/b', '/c')]


def states(nodes: list[FakeNode]) -> list[NodeState]:
    return [node.state for node in nodes]


def test_all_are_configured_in_order_before_the_first_is_activated(pacer, journal, nodes):
    conductor().bring_up(nodes, pacer=pacer)
    assert journal == [
        'configure /a',
        'configure /b',
        'configure /c',
        'activate /a',
        'activate /b',
        'activate /c',
    ]


def test_teardown_is_the_reverse(pacer, journal, nodes):
    conductor().bring_up(nodes, pacer=pacer)
    journal.clear()
    assert conductor().lower(nodes, NodeState.FINALIZED, pacer=pacer) == ()
    assert journal == [
        *('deactivate /c', 'deactivate /b', 'deactivate /a'),
        *('cleanup /c', 'cleanup /b', 'cleanup /a'),
        *('shutdown /c', 'shutdown /b', 'shutdown /a'),
    ]


def test_a_second_bring_up_and_a_second_teardown_do_nothing(pacer, journal, nodes):
    assert conductor().bring_up(nodes, pacer=pacer) == 6
    journal.clear()
    assert conductor().bring_up(nodes, pacer=pacer) == 0
    conductor().lower(nodes, NodeState.UNCONFIGURED, pacer=pacer)
    journal.clear()
    assert conductor().lower(nodes, NodeState.UNCONFIGURED, pacer=pacer) == ()
    assert journal == []


def test_a_failing_node_leaves_the_others_as_they_were_met(pacer, journal, nodes):
    nodes[0].state = NodeState.ACTIVE  # adopted: not ours to take down
    nodes[2].outcomes[Transition.CONFIGURE] = NodeState.UNCONFIGURED
    with pytest.raises(TransitionFailed, match='/c: configure: refused.*/b taken back'):
        conductor().bring_up(nodes, pacer=pacer)
    assert states(nodes) == [NodeState.ACTIVE, NodeState.UNCONFIGURED, NodeState.UNCONFIGURED]


def test_leave_keeps_what_was_reached(pacer, nodes):
    nodes[2].outcomes[Transition.ACTIVATE] = NodeState.INACTIVE
    with pytest.raises(NodeTransitionFailed):
        conductor().bring_up(nodes, pacer=pacer, on_failure='leave')
    assert states(nodes) == [NodeState.ACTIVE, NodeState.ACTIVE, NodeState.INACTIVE]


def test_a_failure_says_node_transition_state_expectation_remedy_and_the_nodes_own_words(
    pacer, nodes
):
    nodes[0].outcomes[Transition.CONFIGURE] = NodeState.UNCONFIGURED
    nodes[0].words = 'verify: no file mask.onnx'
    with pytest.raises(NodeTransitionFailed) as caught:
        conductor().bring_up(nodes, pacer=pacer)
    failure = caught.value
    assert (failure.node, failure.transition) == ('/a', Transition.CONFIGURE)
    assert (failure.state, failure.expected) == (NodeState.UNCONFIGURED, 'inactive')
    assert 'no file mask.onnx' in failure.met
    assert 'ros2 lifecycle get /a' in failure.remedy


def test_a_lost_reply_is_no_failure_when_the_state_says_that_it_worked(pacer, nodes):
    nodes[0].takes_s[Transition.CONFIGURE] = 20.0
    nodes[0].loses_replies = True
    assert driver().drive(nodes[0], Transition.CONFIGURE, pacer=pacer)
    assert nodes[0].state is NodeState.INACTIVE


def test_a_lost_reply_is_found_out_before_its_timeout(pacer, nodes):
    nodes[0].takes_s[Transition.CONFIGURE] = 1.0
    nodes[0].loses_replies = True
    assert driver().drive(nodes[0], Transition.CONFIGURE, pacer=pacer)
    assert pacer.time < 3.0 < LIMITS.reply_timeout_s


def test_a_lost_request_is_sent_again(pacer, nodes):
    nodes[0].loses_requests = 1
    assert driver().drive(nodes[0], Transition.CONFIGURE, pacer=pacer)
    assert nodes[0].state is NodeState.INACTIVE
    assert pacer.time < LIMITS.reply_timeout_s


def test_a_transition_longer_than_the_timeout_is_waited_for(pacer, nodes):
    nodes[1].takes_s[Transition.CONFIGURE] = 40.0
    conductor().bring_up(nodes, pacer=pacer)
    assert states(nodes) == [NodeState.ACTIVE] * 3


def test_a_refusal_that_comes_late_is_a_failure_at_once(pacer, nodes):
    nodes[0].takes_s[Transition.CONFIGURE] = 20.0
    nodes[0].outcomes[Transition.CONFIGURE] = NodeState.UNCONFIGURED
    with pytest.raises(NodeTransitionFailed, match='refused'):
        driver().drive(nodes[0], Transition.CONFIGURE, pacer=pacer)
    assert pacer.time < 25.0


def test_a_node_that_never_ends_a_transition_fails_after_the_limit(pacer, nodes):
    nodes[0].takes_s[Transition.CONFIGURE] = 1e6
    with pytest.raises(NodeTransitionFailed, match='no answer after 60.0 s'):
        driver().drive(nodes[0], Transition.CONFIGURE, pacer=pacer)
    assert 60.0 <= pacer.time < 75.0


def test_a_request_that_was_lost_is_found_out(pacer, nodes):
    nodes[0].ignores_requests = True
    with pytest.raises(NodeTransitionFailed, match='stayed unconfigured'):
        driver().drive(nodes[0], Transition.CONFIGURE, pacer=pacer)
    assert pacer.time < 10.0


def test_a_node_that_dies_during_a_transition_is_not_waited_for(pacer, nodes):
    nodes[0].takes_s[Transition.CONFIGURE] = 1e6
    pacer.at(1.0, nodes[0].die)
    with pytest.raises(NodeTransitionFailed, match='the node died'):
        driver().drive(nodes[0], Transition.CONFIGURE, pacer=pacer)
    assert pacer.time < 3.0


def test_a_node_that_restarts_during_a_transition_is_told_apart_from_one_that_refuses(
    pacer, nodes
):
    nodes[0].takes_s[Transition.CONFIGURE] = 1e6
    pacer.at(1.0, nodes[0].restart)
    with pytest.raises(NodeTransitionFailed, match='restarted meanwhile'):
        driver().drive(nodes[0], Transition.CONFIGURE, pacer=pacer)


def test_a_transition_that_ends_in_error_processing_names_the_state_met(pacer, nodes):
    nodes[0].outcomes[Transition.CONFIGURE] = NodeState.FINALIZED
    with pytest.raises(NodeTransitionFailed, match='now finalized') as caught:
        driver().drive(nodes[0], Transition.CONFIGURE, pacer=pacer)
    assert 'start its process again' in caught.value.remedy


def test_a_node_that_appears_late_is_waited_for(pacer, nodes):
    nodes[1].die()
    pacer.at(8.0, nodes[1].restart)
    conductor().bring_up(nodes, pacer=pacer)
    assert states(nodes) == [NodeState.ACTIVE] * 3


def test_a_node_that_never_appears_is_named_with_the_remedy(pacer, nodes):
    nodes[1].die()
    with pytest.raises(TransitionFailed, match='/b: not in the ROS graph') as caught:
        conductor().bring_up(nodes, pacer=pacer)
    assert 'ROS_DOMAIN_ID' in caught.value.remedy
    assert nodes[0].state is NodeState.UNCONFIGURED


def test_a_bring_up_can_be_cancelled_while_it_waits(pacer, nodes):
    nodes[1].takes_s[Transition.CONFIGURE] = 50.0
    pacer.cancel_at = 3.0
    with pytest.raises(Cancelled):
        conductor().bring_up(nodes, pacer=pacer)
    assert pacer.time < 4.0


def test_a_node_that_cannot_go_down_does_not_keep_the_others_up(pacer, nodes):
    conductor().bring_up(nodes, pacer=pacer)
    nodes[1].outcomes[Transition.DEACTIVATE] = NodeState.ACTIVE
    nodes[2].die()
    failures = conductor().lower(nodes, NodeState.UNCONFIGURED, pacer=pacer)
    assert len(failures) == 1
    assert '/b: deactivate' in failures[0]
    assert nodes[0].state is NodeState.UNCONFIGURED


def test_a_teardown_does_not_wait_for_a_node_that_is_just_leaving(pacer, nodes):
    conductor().bring_up(nodes, pacer=pacer)
    nodes[1].state = NodeState.ABSENT  # its services are gone, its publisher is still listed
    failures = conductor().lower(nodes, NodeState.UNCONFIGURED, pacer=pacer)
    assert pacer.time < 1.0
    assert len(failures) == 1
    assert nodes[0].state is NodeState.UNCONFIGURED


@pytest.mark.parametrize('answers', [1, 2, 3])
def test_a_node_that_leaves_after_an_answer_is_down_at_once(pacer, nodes, answers):
    conductor().bring_up(nodes, pacer=pacer)
    nodes[2].answers_left = answers
    assert conductor().lower(nodes, NodeState.UNCONFIGURED, pacer=pacer) == ()
    assert pacer.time < 1.0
    assert states(nodes)[:2] == [NodeState.UNCONFIGURED] * 2


def test_a_node_met_unconfigured_is_prepared_before_it_is_configured(pacer, journal, nodes):
    nodes[0].state = NodeState.INACTIVE
    conductor().bring_up(
        nodes[:2], pacer=pacer, prepare=lambda node: journal.append(f'prepare {node.name}')
    )
    assert journal == ['prepare /b', 'configure /b', 'activate /a', 'activate /b']


@given(
    start=st.lists(
        st.sampled_from([NodeState.UNCONFIGURED, NodeState.INACTIVE, NodeState.ACTIVE]),
        min_size=1,
        max_size=6,
    ),
    culprit=st.integers(0, 5),
    culprit_step=st.sampled_from([Transition.CONFIGURE, Transition.ACTIVATE]),
)
def test_a_bring_up_ends_with_all_active_or_all_as_they_were(start, culprit, culprit_step):
    pacer = FakePacer()
    nodes = [FakeNode(f'/{index}', pacer, [], state) for index, state in enumerate(start)]
    nodes[culprit % len(nodes)].outcomes[culprit_step] = culprit_step.start
    try:
        conductor().bring_up(nodes, pacer=pacer)
    except TransitionFailed:
        assert states(nodes) == start
    else:
        assert states(nodes) == [NodeState.ACTIVE] * len(nodes)
