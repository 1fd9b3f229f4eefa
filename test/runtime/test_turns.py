"""Fair turns: shares by priority, the longest wait first, nobody starves or saves up."""

from collections import Counter

from edge_seg.runtime.frames.turns import FairTurns
from hypothesis import given
from hypothesis import strategies as st
import pytest


def always(number: int) -> float | None:
    return 0.0


def only_first(number: int) -> float | None:
    return None if number else 0.0


def test_nobody_waits() -> None:
    assert FairTurns([1.0, 1.0]).take(lambda number: None) is None


def test_equals_take_turns_in_order() -> None:
    turns = FairTurns([1.0, 1.0, 1.0])
    assert [turns.take(always) for _ in range(6)] == [0, 1, 2, 0, 1, 2]


@given(st.lists(st.floats(0.1, 10.0), min_size=2, max_size=6))
def test_those_who_always_wait_get_shares_by_their_priority(priorities: list[float]) -> None:
    turns = FairTurns(priorities)
    count = 3000
    served = Counter(turns.take(always) for _ in range(count))
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
        chosen = turns.take(always if wants else only_first)
        unserved = 0 if chosen == 1 or not wants else unserved + 1
        assert unserved <= 4


def test_nobody_saves_up_while_it_does_not_wait() -> None:
    turns = FairTurns([1.0, 1.0])
    for _ in range(100):
        turns.take(only_first)
    served = [turns.take(always) for _ in range(10)]
    assert Counter(served) == {0: 5, 1: 5}
    assert served[0] == 1


def test_of_equals_the_one_that_waits_longest_comes_first() -> None:
    turns = FairTurns([1.0, 1.0, 1.0])
    waits_since_s: list[float | None] = [3.0, 1.0, 2.0]
    served = []
    while (number := turns.take(waits_since_s.__getitem__)) is not None:
        served.append(number)
        waits_since_s[number] = None
    assert served == [1, 2, 0]


def test_a_long_wait_does_not_outweigh_the_shares() -> None:
    turns = FairTurns([1.0, 1.0])
    assert turns.take(only_first) == 0
    # The second one came later, but the first has had its turn.
    assert turns.take([0.0, 5.0].__getitem__) == 1
