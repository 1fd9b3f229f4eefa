"""Turns the report of the lifecycle manager into diagnostic messages."""

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from edge_seg.runtime.managing.manager_state import Intent, ManagerReport
from edge_seg.runtime.managing.supervision import NodeReport, Standing
from rclpy.time import Time

_LEVELS = {
    Standing.UP: DiagnosticStatus.OK,
    Standing.RESTING: DiagnosticStatus.OK,
    Standing.MOVING: DiagnosticStatus.OK,
    Standing.UNKNOWN: DiagnosticStatus.WARN,
    Standing.SILENT: DiagnosticStatus.WARN,
    Standing.RECOVERING: DiagnosticStatus.WARN,
    Standing.HELD: DiagnosticStatus.WARN,
    Standing.GONE: DiagnosticStatus.ERROR,
    Standing.GAVE_UP: DiagnosticStatus.ERROR,
    Standing.FINALIZED: DiagnosticStatus.ERROR,
}


def diagnostics(manager: str, report: ManagerReport, stamp: Time) -> DiagnosticArray:
    """Make one status for the manager and one for each managed node.

    Args:
        manager: full name of the manager node.
        report: its present state.
        stamp: the node's clock, simulated or not.
    """
    name = manager.lstrip('/')
    message = DiagnosticArray()
    message.header.stamp = stamp.to_msg()
    message.status = [
        _manager_status(name, report),
        *(_node_status(name, node) for node in report.nodes),
    ]
    return message


def _manager_status(name: str, report: ManagerReport) -> DiagnosticStatus:
    level = DiagnosticStatus.OK
    sentences = [report.intent.value]
    if report.activity:
        sentences.append(report.activity)
    if report.rollout_failed:
        level = DiagnosticStatus.WARN
        sentences.append(f'rollout: {report.rollout}')
    if report.problem:
        level = DiagnosticStatus.ERROR
        sentences.append(report.problem)
    if report.intent is Intent.PAUSED:
        sentences.append('~/resume activates the nodes again')
    return _status(
        level,
        f'{name}: manager',
        '; '.join(sentences),
        {
            'intent': report.intent.name.lower(),
            'activity': report.activity,
            'problem': report.problem,
            'rollout': report.rollout,
            'nodes': str(len(report.nodes)),
            'active': str(sum(node.standing is Standing.UP for node in report.nodes)),
        },
    )


def _node_status(manager: str, node: NodeReport) -> DiagnosticStatus:
    return _status(
        _LEVELS[node.standing],
        f'{manager}: {node.name}',
        node.message,
        {
            'state': node.state.value,
            'standing': node.standing.value,
            'attempts': str(node.attempts),
            'restarts': str(node.restarts),
            'processes': str(node.incarnations),
        },
    )


def _status(level: bytes, name: str, text: str, values: dict[str, str]) -> DiagnosticStatus:
    return DiagnosticStatus(
        level=level,
        name=name,
        message=text,
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )
