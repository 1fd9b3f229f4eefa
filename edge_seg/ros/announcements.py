"""Latched topics that describe the model: labels, label_info, model_status."""

from __future__ import annotations

from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from edge_seg.core.values import ModelSpec
from edge_seg.ros.conversions import labels_json
from edge_seg.ros.publishing import publish_or_warn
from edge_seg.ros.qos import LATCHED
from edge_seg.runtime.loading.model_status import ModelStatus
from rclpy.node import Node
from rclpy.publisher import Publisher
from std_msgs.msg import String

try:
    from vision_msgs.msg import LabelInfo, VisionClass
except ImportError:  # optional: ~/labels says the same in JSON
    LabelInfo = None

ATTEMPTS = 5
"""What is announced once is tried so often: half a second, as Fast DDS waits for 100 ms."""
LEVELS = {'rejected': DiagnosticStatus.WARN, 'none': DiagnosticStatus.WARN}


class Announcements:
    """Publishes what the masks mean; late joiners get the last word. Any thread."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._labels = node.create_publisher(String, '~/labels', LATCHED)
        self._status = node.create_publisher(DiagnosticStatus, '~/model_status', LATCHED)
        self._label_info = None
        if LabelInfo is not None:
            self._label_info = node.create_publisher(LabelInfo, '~/label_info', LATCHED)

    def classes(self, spec: ModelSpec) -> None:
        """Announce the classes of the model that serves from now on."""
        identity = f'{spec.name}@{spec.version}'
        self._say(self._labels, String(data=labels_json(identity, spec.classes, spec.unlabelled)))
        if self._label_info is not None:
            message = LabelInfo(threshold=0.0)
            message.header.stamp = self._node.get_clock().now().to_msg()
            message.class_map = [
                VisionClass(class_id=index, class_name=info.name)
                for index, info in enumerate(spec.classes)
            ]
            self._say(self._label_info, message)

    def status(self, status: ModelStatus) -> None:
        """Announce what serves and how the last request goes."""
        if self._node.context.ok():  # a node that ends says goodbye to nobody
            self._say(self._status, self.diagnostic(status))

    def _say(self, publisher: Publisher[Any], message: Any) -> None:
        publish_or_warn(self._node, publisher, message, attempts=ATTEMPTS)

    def diagnostic(self, status: ModelStatus) -> DiagnosticStatus:
        """Put a status into a message."""
        fields = {
            'model': status.model,
            'sha256': status.sha256,
            'backend': status.backend,
            'device': status.device,
            'precision': status.precision,
            'since': status.since,
            'first_inference_ms': f'{status.first_inference_s * 1e3:.2f}',
            'steady_inference_ms': f'{status.steady_inference_s * 1e3:.2f}',
            'gap_ms': f'{status.gap_s * 1e3:.2f}',
            'backends_not_taken': status.not_taken,
            'stage': status.stage,
            'requested': status.requested,
            'request_id': str(status.request_id),
            'last_error': status.last_error,
        }
        return DiagnosticStatus(
            level=LEVELS.get(status.stage, DiagnosticStatus.OK),
            name=f'{self._node.get_fully_qualified_name().lstrip("/")}: model',
            message=sentence(status),
            hardware_id=status.device,
            values=[KeyValue(key=key, value=value) for key, value in fields.items()],
        )


def sentence(status: ModelStatus) -> str:
    """Say in one sentence where the model stands."""
    served = f'serving {status.model}' if status.model else 'no model is loaded'
    if status.stage == 'serving':
        return f'{served} on {status.backend}'
    if status.stage == 'none':
        return f'{served}: {status.last_error}' if status.last_error else served
    if status.stage == 'probation':
        return f'{served} on {status.backend}, on probation'
    if status.stage == 'rejected' and status.last_error.startswith('probation: '):
        return f'{served}; {status.last_error.removeprefix("probation: ")}'
    if status.stage == 'rejected':
        return f'{served}; {status.requested!r} was refused at {status.last_error}'
    return f'{served}; {status.requested!r} is at {status.stage}'
