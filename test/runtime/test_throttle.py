"""One word of each kind in a while: no kind keeps another from being heard."""

from edge_seg.runtime.frames.throttle import Throttle


def test_a_kind_is_heard_once_in_a_period() -> None:
    now_s = [100.0]
    throttle = Throttle(5.0, clock=lambda: now_s[0])
    heard = []
    for second in range(12):
        now_s[0] = 100.0 + second
        heard.append(throttle.admits('wrong step'))
    assert [second for second, was in enumerate(heard) if was] == [0, 5, 10]


def test_kinds_do_not_silence_each_other() -> None:
    throttle = Throttle(5.0, clock=lambda: 0.0)
    told = [('left', 'size'), ('left', 'size'), ('left', 'encoding'), ('right', 'size')]
    assert [throttle.admits(kind) for kind in told] == [True, False, True, True]
