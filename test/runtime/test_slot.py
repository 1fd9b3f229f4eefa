"""The model slot: leases, exchange, probation, and who closes what, from several threads."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
import random
import sys
import threading

from edge_seg.errors import NoActiveModel
from edge_seg.runtime.frames.slot import Holding, ModelSlot
from hypothesis import settings, stateful
from hypothesis import strategies as st
import pytest

LONG_S = 30.0


class StubModel:
    """Knows whether it is used, and notes every misuse."""

    def __init__(self, name: str = 'model') -> None:
        self.name = name
        self.closes = 0
        self.faults: list[str] = []
        self.closed_in: int | None = None
        self._lock = threading.Lock()
        self._users = 0

    def run(self, inside: Callable[[], object] = lambda: None) -> None:
        with self._lock:
            self._users += 1
            if self.closes:
                self.faults.append('used after close')
        inside()
        with self._lock:
            self._users -= 1
            if self.closes:
                self.faults.append('closed while used')

    def close(self) -> None:
        with self._lock:
            self.closes += 1
            self.closed_in = threading.get_ident()
            if self._users:
                self.faults.append('closed while used')


def test_an_empty_slot_has_no_model_to_lease() -> None:
    slot: ModelSlot[StubModel] = ModelSlot()

    with pytest.raises(NoActiveModel, match='no model is active'), slot.lease():
        pytest.fail('leased from an empty slot')
    assert slot.active is None


def test_the_model_that_was_exchanged_in_is_leased() -> None:
    slot: ModelSlot[StubModel] = ModelSlot()
    model = StubModel()

    assert slot.exchange(model) is None
    with slot.lease() as leased:
        assert leased is model
    assert slot.active is model
    assert model.closes == 0


def test_exchange_never_closes_a_model_in_use() -> None:
    slot: ModelSlot[StubModel] = ModelSlot()
    old, new = StubModel('old'), StubModel('new')
    slot.exchange(old)

    with slot.lease() as leased:
        previous = slot.exchange(new)
        assert previous is not None
        assert not previous.release()
        assert leased.closes == 0
        with slot.lease() as next_leased:
            assert next_leased is new

    assert old.closes == 1
    assert new.closes == 0


def test_the_last_of_several_leases_closes() -> None:
    slot: ModelSlot[StubModel] = ModelSlot()
    model = StubModel()
    slot.exchange(model)
    with slot.lease():
        with slot.lease():
            slot.clear()
        assert model.closes == 0
    assert model.closes == 1


def test_a_model_that_nobody_uses_is_closed_by_its_release() -> None:
    slot: ModelSlot[StubModel] = ModelSlot()
    old = StubModel()
    slot.exchange(old)
    previous = slot.exchange(StubModel())
    assert previous is not None
    assert old.closes == 0

    assert previous.release()
    assert previous.release()
    assert old.closes == 1


def test_a_lease_that_ends_with_an_exception_is_given_back() -> None:
    slot: ModelSlot[StubModel] = ModelSlot()
    model = StubModel()
    slot.exchange(model)
    with pytest.raises(ZeroDivisionError), slot.lease():
        raise ZeroDivisionError

    assert slot.clear()
    assert model.closes == 1


def test_a_held_model_can_be_put_back() -> None:
    slot: ModelSlot[StubModel] = ModelSlot()
    old, new = StubModel('old'), StubModel('new')
    slot.exchange(old)
    previous = slot.exchange(new)
    assert previous is not None

    displaced = slot.put_back(previous)

    assert slot.active is old
    assert displaced is not None
    assert displaced.model is new
    assert displaced.release()
    assert (old.closes, new.closes) == (0, 1)


def test_a_model_put_back_is_no_longer_its_holders_to_release() -> None:
    slot: ModelSlot[StubModel] = ModelSlot()
    old = StubModel()
    slot.exchange(old)
    previous = slot.exchange(StubModel())
    assert previous is not None
    slot.put_back(previous)

    assert not previous.release()
    assert old.closes == 0


@pytest.mark.parametrize('end', ['release', 'put_back'])
def test_a_holding_that_ended_can_neither_be_put_back_nor_leased(end: str) -> None:
    slot: ModelSlot[StubModel] = ModelSlot()
    slot.exchange(StubModel())
    previous = slot.exchange(StubModel())
    assert previous is not None
    if end == 'release':
        previous.release()
    else:
        slot.put_back(previous)
    active = slot.active

    with pytest.raises(NoActiveModel, match='already released or put back'):
        slot.put_back(previous)
    with pytest.raises(NoActiveModel), previous.lease():
        pytest.fail('leased from a holding that ended')
    assert slot.active is active


def test_a_shadow_lease_keeps_a_released_model_open() -> None:
    slot: ModelSlot[StubModel] = ModelSlot()
    old = StubModel()
    slot.exchange(old)
    previous = slot.exchange(StubModel())
    assert previous is not None

    with previous.lease() as shadow:
        assert shadow is old
        assert not previous.release()
        assert old.closes == 0
    assert old.closes == 1


def test_a_lease_taken_before_the_exchange_and_the_put_back_survives_both() -> None:
    slot: ModelSlot[StubModel] = ModelSlot()
    old = StubModel()
    slot.exchange(old)
    with slot.lease():
        previous = slot.exchange(StubModel())
        assert previous is not None
        slot.put_back(previous)
    assert old.closes == 0
    assert slot.clear()
    assert old.closes == 1


def test_withdrawing_empties_the_slot_and_keeps_the_model() -> None:
    slot: ModelSlot[StubModel] = ModelSlot()
    model = StubModel()
    slot.exchange(model)

    holding = slot.withdraw()

    assert slot.active is None
    assert slot.withdraw() is None
    assert holding is not None
    assert model.closes == 0
    assert slot.put_back(holding) is None
    assert slot.active is model


def test_clearing_an_empty_slot_is_fine() -> None:
    assert ModelSlot[StubModel]().clear()


def test_a_model_cannot_be_exchanged_for_itself() -> None:
    slot: ModelSlot[StubModel] = ModelSlot()
    model = StubModel()
    slot.exchange(model)

    with pytest.raises(ValueError, match='for itself'):
        slot.exchange(model)
    assert slot.active is model


def test_draining_closes_in_the_callers_thread_once_the_frame_is_done() -> None:
    slot: ModelSlot[StubModel] = ModelSlot()
    model = StubModel()
    slot.exchange(model)
    leased, finish = threading.Event(), threading.Event()

    def frame() -> None:
        with slot.lease():
            leased.set()
            finish.wait(LONG_S)

    frame_thread = threading.Thread(target=frame)
    frame_thread.start()
    assert leased.wait(LONG_S)
    threading.Timer(0.02, finish.set).start()

    assert slot.clear(drain_timeout_s=LONG_S)
    frame_thread.join(LONG_S)
    assert model.closes == 1
    assert model.closed_in == threading.get_ident()


def test_draining_gives_up_after_its_timeout_and_leaves_the_close_to_the_lease() -> None:
    slot: ModelSlot[StubModel] = ModelSlot()
    model = StubModel()
    slot.exchange(model)
    with slot.lease():
        assert not slot.clear(drain_timeout_s=0.01)
        assert model.closes == 0
    assert model.closes == 1


def test_a_slow_close_holds_up_nobody() -> None:
    closing, finish = threading.Event(), threading.Event()

    class SlowModel(StubModel):
        def close(self) -> None:
            closing.set()
            assert finish.wait(LONG_S)
            super().close()

    slot: ModelSlot[StubModel] = ModelSlot()
    slow, new = SlowModel('slow'), StubModel('new')
    slot.exchange(slow)
    previous = slot.exchange(new)
    assert previous is not None
    closer = threading.Thread(target=previous.release)
    closer.start()
    assert closing.wait(LONG_S)

    with slot.lease() as leased:
        assert leased is new
    assert slot.clear()
    finish.set()
    closer.join(LONG_S)
    assert (slow.closes, new.closes) == (1, 1)


@pytest.fixture
def eager_switching() -> Iterator[None]:
    """Let threads alternate within microseconds, so that they meet in every place."""
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before_s)


@pytest.mark.usefixtures('eager_switching')
def test_hundreds_of_exchanges_against_several_frame_threads() -> None:
    slot: ModelSlot[StubModel] = ModelSlot()
    models = [StubModel(f'{index}') for index in range(600)]
    slot.exchange(models[0])
    stop, threads_meet = threading.Event(), threading.Event()
    progress = threading.Semaphore(0)

    def run_frames() -> int:
        frames = 0
        while not stop.is_set():
            with slot.lease() as model:
                model.run(lambda: threads_meet.wait(1e-4))
            frames += 1
            progress.release()
        return frames

    chance = random.Random(5)
    with ThreadPoolExecutor(4) as frame_threads:
        counts = [frame_threads.submit(run_frames) for _ in range(4)]
        try:
            for model in models[1:]:
                assert progress.acquire(timeout=LONG_S)
                previous = slot.exchange(model)
                assert previous is not None
                if chance.random() < 0.3:  # probation: a shadow frame, then a rollback
                    with previous.lease() as shadow:
                        shadow.run()
                    previous = slot.put_back(previous)
                    assert previous is not None
                previous.release(drain_timeout_s=chance.choice((0.0, 0.05)))
        finally:
            stop.set()
        assert sum(count.result(LONG_S) for count in counts) >= len(models) - 1
    slot.clear()

    assert [model.faults for model in models if model.faults] == []
    assert [model.closes for model in models] == [1] * len(models)


def release_together(holding: Holding[StubModel], start: threading.Barrier) -> None:
    start.wait(LONG_S)
    holding.release()


def test_releases_from_many_threads_close_once() -> None:
    for _ in range(100):
        slot: ModelSlot[StubModel] = ModelSlot()
        model = StubModel()
        slot.exchange(model)
        holding = slot.withdraw()
        assert holding is not None
        start = threading.Barrier(4)

        threads = [
            threading.Thread(target=release_together, args=(holding, start)) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LONG_S)
        assert model.closes == 1


class SlotMachine(stateful.RuleBasedStateMachine):
    """Any order of calls: a model is closed exactly when nobody wants or uses it any more."""

    def __init__(self) -> None:
        super().__init__()
        self.slot: ModelSlot[StubModel] = ModelSlot()
        self.models: list[StubModel] = []
        self.held: list[Holding[StubModel]] = []
        self.leases: list[tuple[StubModel, Callable[[], object]]] = []

    def keep(self, holding: Holding[StubModel] | None) -> None:
        if holding is not None:
            self.held.append(holding)

    @stateful.rule()
    def exchange(self) -> None:
        self.models.append(StubModel(f'{len(self.models)}'))
        self.keep(self.slot.exchange(self.models[-1]))

    @stateful.rule()
    def withdraw(self) -> None:
        self.keep(self.slot.withdraw())

    @stateful.precondition(lambda self: self.held)
    @stateful.rule(data=st.data())
    def put_back(self, data: st.DataObject) -> None:
        holding = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        self.keep(self.slot.put_back(holding))

    @stateful.precondition(lambda self: self.held)
    @stateful.rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        self.held.pop(data.draw(st.integers(0, len(self.held) - 1))).release()

    @stateful.precondition(lambda self: self.slot.active is not None)
    @stateful.rule()
    def lease(self) -> None:
        context = self.slot.lease()
        self.leases.append((context.__enter__(), lambda: context.__exit__(None, None, None)))

    @stateful.precondition(lambda self: self.leases)
    @stateful.rule(data=st.data())
    def end_lease(self, data: st.DataObject) -> None:
        self.leases.pop(data.draw(st.integers(0, len(self.leases) - 1)))[1]()

    @stateful.invariant()
    def closed_exactly_when_unwanted_and_unused(self) -> None:
        needed = [self.slot.active, *(h.model for h in self.held), *(m for m, _ in self.leases)]
        for model in self.models:
            assert model.closes == (0 if any(model is other for other in needed) else 1)


SlotMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestSlotMachine = SlotMachine.TestCase
