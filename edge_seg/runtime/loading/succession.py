"""Who serves, who served before, and when one gives way to the other."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
import logging
import threading
import time

from edge_seg.errors import LoadStage, ModelRejected, NoActiveModel
from edge_seg.models.store import ModelPackage
from edge_seg.runtime.frames.answer import Answer
from edge_seg.runtime.frames.serving import ServingModel
from edge_seg.runtime.frames.slot import Holding, ModelSlot
from edge_seg.runtime.loading.candidate import LoadedModel
from edge_seg.runtime.loading.idle_moments import IdleMoments
from edge_seg.runtime.loading.model_status import StatusBoard
from edge_seg.runtime.loading.probation import Probation, ProbationRules
from edge_seg.runtime.loading.shadow import compare

logger = logging.getLogger(__name__)

Note = Callable[[LoadedModel, LoadedModel], None]
"""Told of the model that came back and of the one that it replaced."""
DRAIN_TIMEOUT_S = 5.0
"""Longer than any frame takes: a model is then closed in the thread that gives it up."""


@dataclass(frozen=True, slots=True)
class Predecessor:
    """The model before the present one, still loaded, ready to come back between two frames."""

    loaded: LoadedModel
    holding: Holding[ServingModel]


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
        on_worn_out: told the error of a model that fails again and again with none to follow it.
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
        self._slot = slot
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
        self._served: LoadedModel | None = None
        self._previous: Predecessor | None = None
        self._probation: Probation | None = None
        self._errors_in_a_row = 0
        self._unheard = False  # the present model has not answered a frame yet
        self._closed = False

    @property
    def served(self) -> LoadedModel | None:
        """What serves now; None for nothing."""
        with self._lock:
            return self._served

    @property
    def previous(self) -> LoadedModel | None:
        """What would come back at once; None when nothing is kept."""
        with self._lock:
            return None if self._previous is None else self._previous.loaded

    def install(self, candidate: LoadedModel, *, instead_of: ModelRejected | None = None) -> None:
        """Let a candidate serve from the next frame on; probation begins.

        Args:
            candidate: what is to serve.
            instead_of: why what was to serve does not, when the candidate is what served before.

        Raises:
            ModelRejected: at SWAP, when the node is being cleaned up; the candidate is closed.
        """
        self._board.entered(LoadStage.SWAP)
        with ExitStack() as undo:
            undo.callback(candidate.model.close)
            with self._lock:
                if self._closed:
                    raise ModelRejected(LoadStage.SWAP, 'the node is being cleaned up')
                self._announce(candidate)  # its labels go out before its first mask
                undo.pop_all()  # from here on it belongs to the slot
                outdated = self._exchange(candidate)
                if instead_of is None:
                    self._board.serving(candidate, on_trial=self._probation is not None)
                else:
                    self._board.went_back(candidate, instead_of)
        if outdated is not None:
            self._close_between_frames(outdated)

    def vacate(self) -> ModelPackage | None:
        """Unload everything, to make room; returns what served."""
        with self._lock:
            served, self._served = self._served, None
            predecessor, self._previous = self._previous, None
            self._probation = None
            holding = self._slot.withdraw()
        for each in (holding, None if predecessor is None else predecessor.holding):
            if each is not None:
                each.release(drain_timeout_s=DRAIN_TIMEOUT_S)
        return None if served is None else served.package

    def close(self) -> None:
        """Unload everything for good; a candidate that is still on its way is turned away."""
        with self._lock:
            self._closed = True
        self.vacate()
        self._board.unloaded()

    def roll_back(self) -> str:
        """Bring the previous model back between two frames; it stays loaded in turn.

        Returns:
            name@version of what serves now.

        Raises:
            NoActiveModel: no previous model is kept loaded.
        """

        def note(back: LoadedModel, failing: LoadedModel) -> None:
            self._board.serving(back, on_trial=False)

        return self._put_back(note, keep=self._keep_previous)[0].model.identity

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
            if self._served is None or self._served.model is not model:
                return
            self._errors_in_a_row = 0
            probation, predecessor = self._probation, self._previous
            if probation is None:
                return
            shadow = predecessor if probation.wants_shadow() else None
            probation.frame_answered(answer.latency_s)
        if shadow is not None:
            self._compare(probation, shadow, model, answer)
        self.judge()

    def frame_failed(self, model: ServingModel, error: str) -> None:
        """Note a frame on which inference failed; too many in a row end the model's service."""
        with self._lock:
            if self._served is None or self._served.model is not model:
                return
            self._errors_in_a_row += 1
            if self._probation is not None:
                self._probation.frame_failed(error)
            worn_out = self._errors_in_a_row == self._rules.max_errors_in_a_row
            can_return = self._previous is not None
            on_trial = self._probation is not None
        if on_trial:
            self.judge()
        elif worn_out and can_return:
            self._withdraw(f'{self._rules.max_errors_in_a_row} errors in a row: {error}')
        elif worn_out:
            self._on_worn_out(error)

    def judge(self) -> None:
        """End probation when there is a verdict; called now and then when no frames come."""
        with self._lock:
            probation = self._probation
            verdict = None if probation is None else probation.verdict(time.monotonic())
            if verdict is None:
                return
            self._probation = None
            predecessor = self._previous
            surplus = predecessor if verdict.passed and not self._keep_previous else None
            if surplus is not None:
                self._previous = None
            if verdict.passed:
                self._board.settled()
        if not verdict.passed:
            self._withdraw(verdict.reason)
        if surplus is not None:
            self._close_later(surplus.holding)

    def _exchange(self, candidate: LoadedModel) -> Holding[ServingModel] | None:
        """Swap under the lock; gives the model that nobody needs any more."""
        replaced = self._slot.exchange(candidate.model)
        outdated = None if self._previous is None else self._previous.holding
        self._previous = None
        if replaced is not None and self._served is not None:
            self._previous = Predecessor(self._served, replaced)
        self._served = candidate
        self._unheard = True
        self._errors_in_a_row = 0
        self._probation = None
        if self._previous is not None and self._rules.frames > 0:
            self._probation = Probation(self._rules, begin_s=time.monotonic())
        elif not self._keep_previous and self._previous is not None:
            self._previous, outdated = None, replaced
        return outdated

    def _note_first(self, model: ServingModel, answer: Answer) -> None:
        with self._lock:
            first = self._unheard and self._served is not None and self._served.model is model
            self._unheard = self._unheard and not first
        if first:
            self._on_first_answer(answer)

    def _compare(
        self, probation: Probation, shadow: Predecessor, model: ServingModel, answer: Answer
    ) -> None:
        comparison = compare(shadow.holding, model, answer)
        if comparison is not None:
            with self._lock:
                probation.shadowed(
                    comparison.agreement, only_new_is_one_class=comparison.only_new_is_one_class
                )

    def _withdraw(self, reason: str) -> None:
        """Roll back by itself; the failing model is not kept."""

        def note(back: LoadedModel, failing: LoadedModel) -> None:
            self._board.withdrew(failing, back, reason)

        try:
            _, failing = self._put_back(note, keep=False)
        except NoActiveModel:
            return  # an operator's rollback was faster
        self._on_withdrawn(failing, reason)

    def _put_back(self, note: Note, *, keep: bool) -> tuple[LoadedModel, LoadedModel]:
        """Exchange the present model for the previous one; gives both, in reverse order."""
        with self._lock:
            predecessor, failing = self._previous, self._served
            if predecessor is None or failing is None:
                raise NoActiveModel('no previous model is kept loaded')
            self._announce(predecessor.loaded)
            replaced = self._slot.put_back(predecessor.holding)
            self._served = predecessor.loaded
            self._unheard = True
            self._previous = None
            if keep and replaced is not None:
                self._previous = Predecessor(failing, replaced)
            self._probation = None
            self._errors_in_a_row = 0
            note(predecessor.loaded, failing)
        if not keep and replaced is not None:
            self._close_later(replaced)
        return predecessor.loaded, failing

    def _close_later(self, holding: Holding[ServingModel]) -> None:
        """Close a model in a thread of its own: the frame thread has frames to answer."""
        threading.Thread(
            target=self._close_between_frames, args=(holding,), name='model_closer', daemon=True
        ).start()

    def _close_between_frames(self, holding: Holding[ServingModel]) -> None:
        """Close a model that nobody needs: freeing it holds Python's lock for milliseconds."""
        self.idle.wait()
        holding.release(drain_timeout_s=DRAIN_TIMEOUT_S)
