"""Fair turns: shares by priority, oldest first among equals, nobody starves or saves up."""

from collections import Counter

from edge_seg.runtime.frames.turns import FairTurns
from hypothesis import given
from hypothesis import strategies as st
import pytest


def test_nobody_waits() -> None:
    assert FairTurns([1.0, 1.0]).take(lambda number: False) is None


def test_equals_take_turns_in_order() -> None:
    turns = FairTurns([1.0, 1.0, 1.0])
    assert [turns.take(lambda number: True) for _ in range(6)] == [0, 1, 2, 0, 1, 2]


@given(st.lists(st.floats(0.1, 10.0), min_size=2, max_size=6))
def test_those_who_always_wait_get_shares_by_their_priority(priorities: list[float]) -> None:
    turns = FairTurns(priorities)
    count = 3000
    served = Counter(turns.take(lambda number: True) for _ in range(count))
    for number, priority in enumerate(priorities):
        share = count * priority / sum(priorities)
        assert served[number] == pytest.approx(share, abs=len(priorities) + 1)


@given(st.data())
def test_whoever_waits_is_served_before_its_share_of_the_others_is_used_up(
    data: st.DataObject,
) -> None:
    turns = FairTurns([4.0, 1.0])
    unserved = 0
    for wants in data.draw(st.lists(st.booleans(), max_size=60)):
        chosen = turns.take((0, 1).__contains__ if wants else (0,).__contains__)
        unserved = 0 if chosen == 1 or not wants else unserved + 1
        assert unserved <= 4


def test_nobody_saves_up_while_it_does_not_wait() -> None:
    turns = FairTurns([1.0, 1.0])
    for _ in range(100):
        turns.take(lambda number: number == 0)
    served = [turns.take(lambda number: True) for _ in range(10)]
    assert Counter(served) == {0: 5, 1: 5}
    assert served[0] == 1
