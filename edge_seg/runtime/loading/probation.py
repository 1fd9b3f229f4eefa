"""Probation: a new model must prove itself on live frames, or the previous one comes back."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class ProbationRules:
    """What a new model is held to; a limit of 0 is off, except where said.

    Attributes:
        frames: probation ends well after this many answered frames; 0 = no probation.
        seconds: or after this time, when frames are rare.
        max_error_share: share 0-1 of frames that may fail; judged when probation ends.
        max_errors_in_a_row: fails at once.
        latency_budget_s: the median of the segmentation time must stay within it.
        shadow_every: every n-th frame also runs through the previous model.
        min_agreement: mean IoU 0-1 with the previous model over the shadow frames, when both
            have the same classes.
        max_one_class_share: share 0-1 of shadow frames on which the new model sees one class
            only while the previous one sees several.
    """

    frames: int = 60
    seconds: float = 5.0
    max_error_share: float = 0.1
    max_errors_in_a_row: int = 5
    latency_budget_s: float = 0.0
    shadow_every: int = 10
    min_agreement: float = 0.3
    max_one_class_share: float = 0.5


@dataclass(frozen=True, slots=True)
class Verdict:
    """How probation ended; ``reason`` is '' when the model passed."""

    reason: str

    @property
    def passed(self) -> bool:
        """True when the model may stay."""
        return not self.reason


PASSED = Verdict('')


class Probation:
    """Collects what is seen of one model; not thread-safe.

    Args:
        rules: the limits.
        begin_s: ``time.monotonic()`` of the swap.
    """

    def __init__(self, rules: ProbationRules, *, begin_s: float) -> None:
        self._rules = rules
        self._begin_s = begin_s
        self._latencies_s: list[float] = []
        self._errors = 0
        self._errors_in_a_row = 0
        self._last_error = ''
        self._agreements: list[float] = []
        self._shadows = 0
        self._one_class = 0

    def wants_shadow(self) -> bool:
        """Tell whether the next frame shall run through the previous model too."""
        every = self._rules.shadow_every
        return every > 0 and len(self._latencies_s) % every == 0

    def frame_answered(self, latency_s: float) -> None:
        """Note a frame that got its mask, and how long segmenting it took."""
        self._latencies_s.append(latency_s)
        self._errors_in_a_row = 0

    def frame_failed(self, error: str) -> None:
        """Note a frame on which inference failed."""
        self._errors += 1
        self._errors_in_a_row += 1
        self._last_error = error

    def shadowed(self, agreement: float | None, *, only_new_is_one_class: bool) -> None:
        """Note a shadow frame; ``agreement`` is None when the classes cannot be compared."""
        self._shadows += 1
        self._one_class += only_new_is_one_class
        if agreement is not None:
            self._agreements.append(agreement)

    def verdict(self, now_s: float) -> Verdict | None:
        """Give the verdict as soon as there is one; None while probation goes on."""
        rules = self._rules
        if 0 < rules.max_errors_in_a_row <= self._errors_in_a_row:
            return Verdict(f'{self._errors_in_a_row} errors in a row: {self._last_error}')
        seen = len(self._latencies_s) + self._errors
        if seen < rules.frames and now_s - self._begin_s < rules.seconds:
            return None
        return Verdict(self._failing(seen)) if seen else PASSED

    def _failing(self, seen: int) -> str:
        rules = self._rules
        if self._errors / seen > rules.max_error_share:
            return f'{self._errors} of {seen} frames failed, the last with: {self._last_error}'
        median_s = float(np.median(self._latencies_s)) if self._latencies_s else 0.0
        if 0 < rules.latency_budget_s < median_s:
            return (
                f'segmenting takes {median_s * 1e3:.1f} ms, '
                f'the budget is {rules.latency_budget_s * 1e3:.1f} ms'
            )
        if self._shadows and self._one_class / self._shadows > rules.max_one_class_share:
            return (
                f'it saw one class only on {self._one_class} of {self._shadows} frames on which '
                'the previous model saw several'
            )
        if self._agreements:
            mean = float(np.mean(self._agreements))
            if mean < rules.min_agreement:
                return (
                    f'its masks agree with those of the previous model by a mean IoU of '
                    f'{mean:.2f}, at least {rules.min_agreement:.2f} is asked for'
                )
        return ''
