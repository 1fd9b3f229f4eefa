"""Sends the package's own log records, from below the ROS layer, to the node's logger."""

import logging

from rclpy.impl.rcutils_logger import RcutilsLogger

PACKAGE = 'edge_seg'


class NodeLogHandler(logging.Handler):
    """Forwards records of the standard library to a node's logger, and so to /rosout.

    Args:
        logger: the node's.
    """

    def __init__(self, logger: RcutilsLogger) -> None:
        super().__init__(logging.DEBUG)
        self._logger = logger
        self.setFormatter(logging.Formatter('%(message)s'))

    def emit(self, record: logging.LogRecord) -> None:
        """Forward one record; rclpy filters by the node's own level."""
        text = self.format(record)
        # rclpy ties a severity to each calling line, so every level needs a line of its own.
        if record.levelno >= logging.ERROR:
            self._logger.error(text)
        elif record.levelno >= logging.WARNING:
            self._logger.warning(text)
        elif record.levelno >= logging.INFO:
            self._logger.info(text)
        else:
            self._logger.debug(text)


def forward_logs(logger: RcutilsLogger) -> None:
    """Let a node's logger take over what the package logs in this process."""
    package = logging.getLogger(PACKAGE)
    package.setLevel(logging.DEBUG)
    package.propagate = False
    package.handlers = [NodeLogHandler(logger)]
