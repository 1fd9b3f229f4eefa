"""TensorRT's own messages: kept in a ring, because the reason of a failure stands only there."""

from collections import deque
from dataclasses import dataclass
import logging
import threading
from types import ModuleType
from typing import Any

logger = logging.getLogger(__name__)

MESSAGES_KEPT = 64
_LEVELS = {
    'INTERNAL_ERROR': logging.ERROR,
    'ERROR': logging.ERROR,
    'WARNING': logging.WARNING,
    'INFO': logging.DEBUG,
    'VERBOSE': logging.DEBUG,
}
_MAX_TEXT = 600
_MAX_READ = 4 * _MAX_TEXT
_WORKER = 0


@dataclass(frozen=True, slots=True)
class _Message:
    number: int
    text: str
    owner: int


class _Asking(threading.local):
    ident = _WORKER


class MessageRing:
    """The last errors that TensorRT reported. Any thread may write and read.

    Several models report here at once, each from the thread that owns it and from workers of
    TensorRT. A thread that asks is not told what another one that asks was told.
    """

    def __init__(self, size: int = MESSAGES_KEPT) -> None:
        self._lock = threading.Lock()  # guards both below
        self._errors: deque[_Message] = deque(maxlen=size)
        self._count = 0
        self._asking = _Asking()

    def add(self, severity: str, text: str) -> None:
        """Take one message: errors are kept, all are passed on to Python's logging.

        Args:
            severity: TensorRT's name, e.g. 'ERROR'.
            text: the message.
        """
        level = _LEVELS.get(severity, logging.ERROR)
        # A build tells a million details, some of megabytes, each from under the GIL.
        if level < logging.ERROR and not logger.isEnabledFor(level):
            return
        short = ' '.join(text[:_MAX_READ].split())[:_MAX_TEXT]
        if level >= logging.ERROR:
            with self._lock:
                self._count += 1
                self._errors.append(_Message(self._count, short, self._owner()))
        # An error becomes part of an exception, which is logged where it is handled.
        logger.log(min(level, logging.WARNING), 'TensorRT: %s', short)

    def mark(self) -> int:
        """Give a place in time for ``since``, to be asked on the same thread."""
        self._asking.ident = threading.get_ident()
        with self._lock:
            return self._count

    def since(self, mark: int) -> tuple[str, ...]:
        """Give the errors after a mark, oldest first; of very many only the last.

        Those of this thread and of TensorRT's workers, which cannot be told apart.
        """
        mine = (_WORKER, self._owner())
        with self._lock:
            return tuple(
                message.text
                for message in self._errors
                if message.number > mark and message.owner in mine
            )

    def _owner(self) -> int:
        """Give the number of the calling thread when it is one that asks."""
        return self._asking.ident


def make_logger(trt: ModuleType, ring: MessageRing) -> Any:
    """Make the logger that every TensorRT object is given.

    TensorRT calls it from threads of its own and keeps a bare pointer to it: the caller keeps
    it alive as long as the process.

    Args:
        trt: the SDK.
        ring: where messages go.
    """

    class RingLogger(trt.ILogger):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            # super().__init__() would leave the C++ part unmade: pybind11 wants this form.
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            ring.add(str(getattr(severity, 'name', severity)), message)

    return RingLogger()
