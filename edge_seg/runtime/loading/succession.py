"""Who serves, who served before, and when one gives way to the other."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
import threading
import time

from edge_seg.errors import LoadStage, ModelRejected, NoActiveModel
from edge_seg.runtime.frames.answer import Answer
from edge_seg.runtime.frames.serving import ServingModel
from edge_seg.runtime.frames.slot import Holding, ModelSlot
from edge_seg.runtime.loading.candidate import CANCELLED, LoadedModel
from edge_seg.runtime.loading.closing import close_between_frames, close_later, DRAIN_TIMEOUT_S
from edge_seg.runtime.loading.idle_moments import IdleMoments
from edge_seg.runtime.loading.lineage import Kept, Lineage, Order
from edge_seg.runtime.loading.model_status import StatusBoard
from edge_seg.runtime.loading.probation import Probation, ProbationRules
from edge_seg.runtime.loading.shadow import compare

Surplus = Holding[ServingModel] | None
"""A model that nobody needs any more."""
Then = Callable[[], None]
"""What is to be done once the lock is free."""


class Succession:
    """Swaps models, watches the new one, brings the old one back. From any thread.

    Args:
        slot: what the frame worker leases from.
        board: told of every change.
        rules: what a new model is held to.
        keep_previous: keep the previous model loaded after probation, so that a rollback takes
            no time; costs its memory.
        announce: told of each model that begins to serve, in the thread that makes it serve.
        on_withdrawn: told of a model that was withdrawn after the swap, and why.
        on_worn_out: told the error, again and again, of a failing model when no other is loaded.
        on_first_answer: told of the first frame that a model answered after it began to serve.

    Attributes:
        idle: moments at which the frame worker has just finished a frame.
    """

    def __init__(
        self,
        slot: ModelSlot[ServingModel],
        board: StatusBoard,
        rules: ProbationRules,
        *,
        keep_previous: bool,
        announce: Callable[[LoadedModel], None],
        on_withdrawn: Callable[[LoadedModel, str], None],
        on_worn_out: Callable[[str], None],
        on_first_answer: Callable[[Answer], None],
    ) -> None:
        self._board = board
        self._rules = rules
        self._keep_previous = keep_previous
        self._announce = announce
        self._on_withdrawn = on_withdrawn
        self._on_worn_out = on_worn_out
        self._on_first_answer = on_first_answer
        self.idle = IdleMoments()
        # Guards everything below; never held while a model runs. The board and the announcements
        # are told under it, so that they hear of changes in the order in which they happen.
        self._lock = threading.Lock()
        self._line = Lineage(slot)
        self._probation: Probation | None = None
        self._errors_in_a_row = 0
        self._unheard = False  # the present model has not answered a frame yet
        self._closed = False

    @property
    def served(self) -> LoadedModel | None:
        """What serves now; None for nothing."""
        with self._lock:
            return self._line.served

    @property
    def previous(self) -> Order | None:
        """The proven model before the present one, loaded or not; None for none."""
        with self._lock:
            return self._line.previous

    def install(
        self,
        candidate: LoadedModel,
        *,
        wanted: Callable[[], bool],
        proven: bool = False,
        instead_of: ModelRejected | None = None,
    ) -> None:
        """Let a candidate serve from the next frame on, on probation unless it is proven.

        Args:
            candidate: what is to serve.
            wanted: says at the last moment, under the lock, whether it still is.
            proven: it served before.
            instead_of: why what was to serve does not, when the candidate is what served before.

        Raises:
            ModelRejected: at SWAP, when the node is being cleaned up or the candidate is not
                wanted any more; it is closed.
        """
        with ExitStack() as undo:
            undo.callback(candidate.model.close)
            with self._lock:
                if self._closed or not wanted():
                    why = 'the node is being cleaned up' if self._closed else CANCELLED
                    raise ModelRejected(LoadStage.SWAP, why)
                self._announce(candidate)  # its labels go out before its first mask
                undo.pop_all()  # from here on it belongs to the slot
                outdated = self._exchange(candidate, proven=proven)
                if instead_of is None:
                    self._board.serving(candidate, on_trial=self._probation is not None)
                else:
                    self._board.went_back(candidate, instead_of)
        for holding in outdated:
            close_between_frames(holding, self.idle)

    def vacate(self) -> None:
        """Unload everything, to make room."""
        with self._lock:
            given_up = self._line.vacate(proven=self._is_proven())
            self._probation = None
        for holding in given_up:
            holding.release(drain_timeout_s=DRAIN_TIMEOUT_S)

    def close(self) -> None:
        """Unload everything for good; a candidate that is still on its way is turned away."""
        with self._lock:
            self._closed = True
        self.vacate()
        self._board.unloaded()

    def roll_back(self) -> tuple[LoadedModel, LoadedModel]:
        """Bring the kept model back between two frames.

        The present one stays loaded in turn, so that the next rollback leads to it; but not when
        it is still on probation, which it thereby fails.

        Returns:
            What serves now and what does not any more.

        Raises:
            NoActiveModel: no previous model is kept loaded.
        """
        with self._lock:
            on_trial = self._probation is not None
            back, left, surplus = self._put_back(
                'it was rolled back by hand' if on_trial else '',
                keep=self._keep_previous and not on_trial,
            )
        close_later(surplus, self.idle)
        return back, left

    @property
    def needs_frames(self) -> bool:
        """True during probation: nobody would know whether a model is good that sees nothing."""
        with self._lock:
            return self._probation is not None

    def frame_answered(self, model: ServingModel, answer: Answer) -> None:
        """Note an answered frame; on shadow frames the previous model runs here as well."""
        try:
            self._note_answer(model, answer)
        finally:
            self.idle.frame_finished()

    def _note_answer(self, model: ServingModel, answer: Answer) -> None:
        self._note_first(model, answer)
        with self._lock:
            if not self._serves(model):
                return
            self._errors_in_a_row = 0
            probation, kept = self._probation, self._line.kept
            if probation is None:
                return
            shadow = kept if probation.wants_shadow() else None
            probation.frame_answered(answer.latency_s)
        if shadow is not None:
            self._compare(probation, shadow, model, answer)
        self.judge()

    def frame_failed(self, model: ServingModel, error: str) -> None:
        """Note a frame on which inference failed; too many in a row end the model's service."""
        with self._lock:
            if not self._serves(model):
                return
            self._errors_in_a_row += 1
            if self._probation is not None:
                self._probation.frame_failed(error)
                then = self._judged()
            else:
                then = self._worn_out(error)
        then()

    def judge(self) -> None:
        """End probation when there is a verdict; called now and then when no frames come."""
        with self._lock:
            then = self._judged()
        then()

    def _serves(self, model: ServingModel) -> bool:
        """Tell whether this is the present model; the lock is held, as in all that follow."""
        served = self._line.served
        return served is not None and served.model is model

    def _is_proven(self) -> bool:
        """Tell whether the present model may be gone back to."""
        limit = self._rules.max_errors_in_a_row
        return self._probation is None and not 0 < limit <= self._errors_in_a_row

    def _exchange(self, candidate: LoadedModel, *, proven: bool) -> tuple[Surplus, Surplus]:
        """Swap, and begin probation if there is a model to compare with and to go back to."""
        outdated = self._line.follow(candidate, proven=self._is_proven())
        self._begin_term()
        surplus = None
        if self._line.kept is not None and self._rules.frames > 0 and not proven:
            self._probation = Probation(self._rules, begin_s=time.monotonic())
        else:
            surplus = self._line.settle(keep=self._keep_previous)
        return outdated, surplus

    def _begin_term(self) -> None:
        self._probation = None
        self._errors_in_a_row = 0
        self._unheard = True

    def _judged(self) -> Then:
        verdict = None if self._probation is None else self._probation.verdict(time.monotonic())
        if verdict is None:
            return _nothing
        if not verdict.passed:
            return self._withdrawn(verdict.reason)
        self._probation = None
        self._board.settled()
        return partial(close_later, self._line.settle(keep=self._keep_previous), self.idle)

    def _worn_out(self, error: str) -> Then:
        limit = self._rules.max_errors_in_a_row
        if limit <= 0 or self._errors_in_a_row % limit:
            return _nothing
        if self._line.kept is None:
            return partial(self._on_worn_out, error)
        return self._withdrawn(f'{self._errors_in_a_row} errors in a row: {error}')

    def _withdrawn(self, reason: str) -> Then:
        """Go back to the kept model; the failing one is not kept."""
        _, failing, surplus = self._put_back(reason, keep=False)

        def then() -> None:
            close_later(surplus, self.idle)
            self._on_withdrawn(failing, reason)

        return then

    def _put_back(self, reason: str, *, keep: bool) -> tuple[LoadedModel, LoadedModel, Surplus]:
        """Exchange the present model for the kept one; gives both, and what nobody needs.

        Args:
            reason: what is wrong with the present model; '' for nothing.
            keep: keep it loaded in turn.

        Raises:
            NoActiveModel: none is kept.
        """
        kept, left = self._line.kept, self._line.served
        if kept is None or left is None:
            raise NoActiveModel('no previous model is kept loaded')
        self._announce(kept.loaded)
        surplus = self._line.go_back(keep=keep)
        self._begin_term()
        if reason:
            self._board.withdrew(left, kept.loaded, reason)
        else:
            self._board.rolled_back(kept.loaded)
        return kept.loaded, left, surplus

    def _note_first(self, model: ServingModel, answer: Answer) -> None:
        """Tell of the first frame that a model answered; takes the lock, as do those below."""
        with self._lock:
            first = self._unheard and self._serves(model)
            self._unheard = self._unheard and not first
        if first:
            self._on_first_answer(answer)

    def _compare(
        self, probation: Probation, shadow: Kept, model: ServingModel, answer: Answer
    ) -> None:
        seen = compare(shadow.holding, model, answer)
        if seen is None:
            return
        with self._lock:
            probation.shadowed(seen.agreement, only_new_is_one_class=seen.only_new_is_one_class)


def _nothing() -> None:
    """Do nothing."""
