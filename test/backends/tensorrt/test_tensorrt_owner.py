"""The owner thread: answers, errors, hangs, and what errors keep alive."""

from functools import partial
import gc
import threading
import weakref

from edge_seg.backends.tensorrt.cuda.owner import OwnerGone, OwnerThread, release_locals
import pytest


class Resource:
    """Something that notes on which thread it died."""

    died_on: list[str]

    def __init__(self, died_on: list[str]) -> None:
        self.died_on = died_on

    def __del__(self) -> None:
        self.died_on.append(threading.current_thread().name)


def test_tasks_run_in_order_on_one_thread() -> None:
    owner = OwnerThread('owner')
    names = {owner.call(lambda: threading.current_thread().name) for _ in range(3)}
    assert names == {'owner'}
    assert owner.call(lambda: 42) == 42
    assert owner.stop(10.0)


def test_an_error_reaches_the_caller_and_the_thread_goes_on() -> None:
    owner = OwnerThread('owner')
    with pytest.raises(ZeroDivisionError):
        owner.call(lambda: 1 // 0)
    assert owner.call(lambda: 1) == 1
    assert owner.stop(10.0)


def test_what_failed_frames_held_dies_on_the_owner_thread() -> None:
    owner, died_on = OwnerThread('owner'), []

    def inner() -> None:
        held = Resource(died_on)
        raise ValueError(f'inside {held is None}')

    def outer() -> None:
        held = Resource(died_on)
        try:
            inner()
        except ValueError as error:
            raise RuntimeError(f'outside {held is None}') from error

    with pytest.raises(RuntimeError) as caught:
        owner.call(outer)
    gc.collect()
    assert died_on == ['owner', 'owner']
    assert caught.value.__cause__ is not None
    assert owner.stop(10.0)


def test_results_are_not_kept_until_the_next_task() -> None:
    owner = OwnerThread('owner')
    made = owner.call(lambda: Resource([]))
    watch = weakref.ref(made)
    del made
    gc.collect()
    assert watch() is None
    assert owner.stop(10.0)


def test_a_chain_of_errors_that_bites_its_tail_is_released() -> None:
    first, second = ValueError('a'), ValueError('b')
    first.__context__, second.__context__ = second, first
    release_locals(first)
    assert first.__context__ is second


def test_a_task_that_hangs_makes_the_owner_unusable() -> None:
    owner, back = OwnerThread('owner'), threading.Event()
    with pytest.raises(OwnerGone, match='did not answer within 0 s'):
        owner.call(back.wait, timeout_s=0.01)
    with pytest.raises(OwnerGone, match='did not answer'):
        owner.call(lambda: 1)
    assert not owner.stop(0.01)
    back.set()
    assert owner.stop(10.0)


def test_a_stopped_owner_takes_no_more() -> None:
    owner = OwnerThread('owner')
    assert owner.stop(10.0)
    assert owner.stop(10.0)
    with pytest.raises(OwnerGone, match='stopped'):
        owner.call(lambda: 1)


def test_many_callers_each_get_their_own_answer() -> None:
    owner, wrong = OwnerThread('owner'), []

    def ask(number: int) -> None:
        for turn in range(200):
            if owner.call(partial(tuple, [number, turn])) != (number, turn):
                wrong.append(number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10.0)
    assert wrong == []
    assert owner.stop(10.0)


def test_the_owner_may_call_and_stop_itself() -> None:
    owner = OwnerThread('owner')
    assert owner.call(lambda: owner.call(lambda: threading.current_thread().name)) == 'owner'
    assert owner.call(lambda: owner.stop(10.0))
    assert owner.stop(10.0)
