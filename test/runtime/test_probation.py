"""A new model passes or fails its probation for the reasons that the rules name."""

from edge_seg.runtime.loading.probation import Probation, ProbationRules
import pytest

RULES = ProbationRules(frames=4, seconds=10.0, shadow_every=2)


def answered(rules: ProbationRules, count: int, *, latency_s: float = 0.01) -> Probation:
    probation = Probation(rules, begin_s=100.0)
    for _ in range(count):
        probation.frame_answered(latency_s)
    return probation


def reason(probation: Probation, *, now_s: float = 101.0) -> str:
    verdict = probation.verdict(now_s)
    assert verdict is not None
    return verdict.reason


def test_it_goes_on_until_enough_frames_were_seen() -> None:
    assert answered(RULES, 3).verdict(101.0) is None


def test_a_model_without_fault_passes() -> None:
    assert reason(answered(RULES, 4)) == ''


def test_it_ends_by_time_when_frames_are_rare() -> None:
    assert reason(answered(RULES, 1), now_s=110.0) == ''


def test_it_ends_by_time_without_any_frame() -> None:
    assert reason(answered(RULES, 0), now_s=110.0) == ''


def test_errors_in_a_row_end_it_at_once() -> None:
    probation = Probation(ProbationRules(frames=100, max_errors_in_a_row=3), begin_s=100.0)
    for _ in range(3):
        probation.frame_failed('device lost')

    assert reason(probation) == '3 errors in a row: device lost'


def test_an_answer_between_errors_starts_the_row_anew() -> None:
    probation = Probation(ProbationRules(frames=100, max_errors_in_a_row=2), begin_s=100.0)
    probation.frame_failed('hiccup')
    probation.frame_answered(0.01)
    probation.frame_failed('hiccup')

    assert probation.verdict(101.0) is None


def test_a_share_of_errors_above_the_limit_fails() -> None:
    probation = answered(RULES, 3)
    probation.frame_failed('hiccup')

    assert reason(probation) == '1 of 4 frames failed, the last with: hiccup'


@pytest.mark.parametrize(('budget_s', 'passes'), [(0.0, True), (0.02, True), (0.005, False)])
def test_the_median_latency_must_stay_within_the_budget(budget_s: float, passes: bool) -> None:
    rules = ProbationRules(frames=4, latency_budget_s=budget_s)

    text = reason(answered(rules, 4))

    assert (text == '') is passes
    assert passes or text == 'segmenting takes 10.0 ms, the budget is 5.0 ms'


def test_one_slow_frame_does_not_fail_the_budget() -> None:
    probation = answered(ProbationRules(frames=4, latency_budget_s=0.02), 3)
    probation.frame_answered(5.0)

    assert reason(probation) == ''


def test_masks_that_do_not_agree_with_the_previous_model_fail() -> None:
    probation = answered(RULES, 4)
    probation.shadowed(0.1, only_new_is_one_class=False)
    probation.shadowed(0.2, only_new_is_one_class=False)

    assert 'a mean IoU of 0.15' in reason(probation)


def test_other_classes_are_not_compared() -> None:
    probation = answered(RULES, 4)
    probation.shadowed(None, only_new_is_one_class=False)

    assert reason(probation) == ''


def test_masks_of_one_class_where_the_previous_model_saw_several_fail() -> None:
    probation = answered(RULES, 4)
    for _ in range(2):
        probation.shadowed(None, only_new_is_one_class=True)

    assert 'one class only on 2 of 2 frames' in reason(probation)


def test_every_nth_frame_is_a_shadow_frame() -> None:
    probation = Probation(RULES, begin_s=100.0)
    wanted = []
    for _ in range(4):
        wanted.append(probation.wants_shadow())
        probation.frame_answered(0.01)

    assert wanted == [True, False, True, False]


def test_no_shadow_frames_when_they_are_off() -> None:
    assert not Probation(ProbationRules(shadow_every=0), begin_s=0.0).wants_shadow()
