"""Closes models that nobody needs, at moments when it costs no frame."""

import threading

from edge_seg.runtime.frames.serving import ServingModel
from edge_seg.runtime.frames.slot import Holding
from edge_seg.runtime.loading.idle_moments import IdleMoments

DRAIN_TIMEOUT_S = 5.0
"""Longer than any frame takes: a model is then closed in the thread that gives it up."""


def close_between_frames(holding: Holding[ServingModel] | None, idle: IdleMoments) -> None:
    """Close a model in this thread: freeing it holds Python's lock for milliseconds."""
    if holding is not None:
        idle.wait()
        holding.release(drain_timeout_s=DRAIN_TIMEOUT_S)


def close_later(holding: Holding[ServingModel] | None, idle: IdleMoments) -> None:
    """Close a model in a thread of its own: the frame thread has frames to answer."""
    if holding is not None:
        threading.Thread(
            target=close_between_frames, args=(holding, idle), name='model_closer', daemon=True
        ).start()
