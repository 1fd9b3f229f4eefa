"""Sends what the layers below ROS log with `logging` to a node's ROS logger, /rosout included."""

import logging

from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.node import Node

PACKAGE = 'edge_seg'


class RosLogHandler(logging.Handler):
    """Hands records to a ROS logger; any thread.

    Each severity has a call of its own: rclpy remembers the severity of a place in the code and
    refuses another one.
    """

    def __init__(self, logger: RcutilsLogger) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record under the severity that comes nearest."""
        text = record.getMessage()
        if record.exc_info:
            text = f'{text}\n{logging.Formatter().formatException(record.exc_info)}'
        if record.levelno >= logging.CRITICAL:
            self._logger.fatal(text)
        elif record.levelno >= logging.ERROR:
            self._logger.error(text)
        elif record.levelno >= logging.WARNING:
            self._logger.warning(text)
        elif record.levelno >= logging.INFO:
            self._logger.info(text)
        else:
            self._logger.debug(text)


def forward_logging(node: Node) -> RosLogHandler:
    """Send the package's log records to this node's logger from now on.

    The severity is the ROS logger's business (--log-level), so nothing is filtered before it.

    Returns:
        The handler, for `stop_forwarding`.
    """
    handler = RosLogHandler(node.get_logger())
    logger = logging.getLogger(PACKAGE)
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    return handler


def stop_forwarding(handler: RosLogHandler) -> None:
    """Take a handler off again, before its node is destroyed."""
    logger = logging.getLogger(PACKAGE)
    logger.removeHandler(handler)
    logger.propagate = True
