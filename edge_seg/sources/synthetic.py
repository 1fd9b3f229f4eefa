"""Frames rendered from procedural scenes, with ground truth."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from edge_seg.sources.base import FrameSource, SourceFrame
from edge_seg.sources.scenes import SceneSequence

_PREPARE_AHEAD_S = 1.0
_NS_PER_S = 1_000_000_000


class SyntheticSource(FrameSource):
    """An endless rendered video: the n-th frame shows the scene at n / rate seconds.

    The next scene is built on a second thread while the present one is shown: building takes
    about as long as the time between two frames.
    """

    def __init__(self, seed: int, *, width: int, height: int, rate_hz: float) -> None:
        """Render `width` x `height` pictures of sequence `seed`, `rate_hz` a second.

        Raises:
            ValueError: negative seed, a side outside 16 to 4096 pixels, a rate not above zero.
        """
        if not rate_hz > 0.0:
            raise ValueError(f'rate is {rate_hz} Hz; expected more than zero')
        self._sequence = SceneSequence(seed, width=width, height=height)
        self._rate_hz = rate_hz
        self._number = 0
        self._builder = ThreadPoolExecutor(max_workers=1, thread_name_prefix='scene-builder')
        self._closed = False

    def read(self) -> SourceFrame | None:
        """Render the next frame; None only after `close`."""
        if self._closed:
            return None
        t_s = self._number / self._rate_hz
        self._number += 1
        frame = self._sequence.render(t_s)
        if self._sequence.scene_changes_within(t_s, _PREPARE_AHEAD_S):
            self._builder.submit(self._sequence.prepare, t_s + _PREPARE_AHEAD_S)
        stamp_ns = round(t_s * _NS_PER_S)
        return SourceFrame(image=frame.image, labels=frame.labels, stamp_ns=stamp_ns)

    def close(self) -> None:
        """Stop the thread that builds scenes."""
        self._closed = True
        self._builder.shutdown(wait=True, cancel_futures=True)
