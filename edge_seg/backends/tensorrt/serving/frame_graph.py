"""A frame's work as a CUDA graph: recorded once, launched by one call, given up if that fails."""

from collections.abc import Callable
import logging

from edge_seg.backends.tensorrt.cuda.interface import Cuda, CudaFailed, Graph, Stream
from edge_seg.errors import InferenceFailed

logger = logging.getLogger(__name__)

Enqueue = Callable[[], None]
"""Puts the work of one frame into the stream; always the same shapes and addresses."""


class FrameGraph:
    """Queues the same work for every frame; on the thread that opened ``cuda``.

    Args:
        cuda: the GPU.
        stream: where the work runs.
        name: of the engine, for the log.
    """

    def __init__(self, cuda: Cuda, stream: Stream, name: str) -> None:
        self._cuda = cuda
        self._stream = stream
        self._name = name
        self._graph: Graph | None = None
        self._tried = False

    def queue(self, enqueue: Enqueue) -> None:
        """Queue one frame: the graph, or the work itself when there is none.

        Raises:
            CudaFailed, InferenceFailed: as ``enqueue``.
        """
        if self._graph is not None:
            try:
                self._graph.launch(self._stream)
                return
            except CudaFailed as error:
                self.drop()
                self._tell(error)
        enqueue()

    def record(self, enqueue: Enqueue) -> None:
        """Record the work of the frame that was just run, the first time that this is called.

        Not before: TensorRT does work of its own in the first run after a shape is set.
        """
        if self._tried:
            return
        self._tried = True
        try:
            self._graph = self._cuda.capture(self._stream, enqueue)
        except (CudaFailed, InferenceFailed) as error:
            self._tell(error)
            self._repeat(enqueue)

    def drop(self) -> None:
        """Free the graph; twice is fine."""
        if self._graph is not None:
            self._graph.drop()
            self._graph = None

    def _repeat(self, enqueue: Enqueue) -> None:
        """Run the frame again for nothing.

        CUDA's runtime may remember a failed recording and tell TensorRT of it once more, in the
        next call: no frame shall be lost for that.
        """
        try:
            enqueue()
            self._cuda.synchronize(self._stream)
        except (CudaFailed, InferenceFailed) as error:
            logger.debug('%s: after the failed recording: %s', self._name, str(error))

    def _tell(self, error: Exception) -> None:
        # As text: a log handler that keeps the exception would keep GPU objects alive.
        logger.warning('%s runs without a CUDA graph: %s', self._name, str(error))
