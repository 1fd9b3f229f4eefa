"""A small lifecycle node for tests of the manager; run as a process of its own.

Plain rclpy with a single-threaded executor, so it answers nothing while a transition runs, as
most nodes do. Each transition is appended to the file named by the parameter `journal`.
"""

import os
import threading

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from edge_seg.ros.shared_memory import clear_of_the_dead
from rcl_interfaces.msg import SetParametersResult
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_srvs.srv import Trigger

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
LOAD_S = 0.1
UNRESOLVABLE = 'nowhere@1'


class ManagedNode(LifecycleNode):
    """Knows any model; `rejects` fails in the background, UNRESOLVABLE at once."""

    def __init__(self) -> None:
        super().__init__('managed')
        self.declare_parameter('journal', '')
        self.declare_parameter('configure_s', 0.0)
        self.declare_parameter('deactivate_s', 0.0)
        self.declare_parameter('fail_configure', False)
        self.declare_parameter('rejects', '')
        self.declare_parameter('load_s', LOAD_S)
        self.declare_parameter('model', 'floor@1')
        self._served = self._previous = self._requested = ''
        self._requests = 0
        self._loading = None
        self._status = self.create_publisher(DiagnosticStatus, '~/model_status', LATCHED)
        self.add_on_set_parameters_callback(self._on_set)
        self.create_service(Trigger, '~/rollback', self._on_rollback)

    def on_configure(self, state):
        self._note('configure')
        threading.Event().wait(self.get_parameter('configure_s').value)
        if self.get_parameter('fail_configure').value:
            self._announce('rejected', 'verify: there is no mask.onnx')
            return TransitionCallbackReturn.FAILURE
        self._served = self.get_parameter('model').value
        self._requests += 1
        self._announce('serving')
        return super().on_configure(state)

    def on_activate(self, state):
        self._note('activate')
        return super().on_activate(state)

    def on_deactivate(self, state):
        self._note('deactivate')
        threading.Event().wait(self.get_parameter('deactivate_s').value)
        return super().on_deactivate(state)

    def on_cleanup(self, state):
        self._note('cleanup')
        return super().on_cleanup(state)

    def _on_set(self, parameters):
        for parameter in parameters:
            if parameter.name != 'model' or not self._served or self._loading:
                continue
            if parameter.value == UNRESOLVABLE:
                return SetParametersResult(successful=False, reason='nothing answers to it')
            self._requested = parameter.value
            self._requests += 1
            self._announce('load')
            self._loading = self.create_timer(self.get_parameter('load_s').value, self._on_loaded)
        return SetParametersResult(successful=True)

    def _on_loaded(self):
        self.destroy_timer(self._loading)
        self._loading = None
        if self._requested == self.get_parameter('rejects').value:
            self._announce('rejected', 'warm: output is not finite')
            return
        self._previous, self._served = self._served, self._requested
        self._announce('serving')

    def _on_rollback(self, _request, response):
        response.success = bool(self._previous)
        response.message = 'no previous model'
        if self._previous:
            self._previous, self._served = self._served, self._previous
            response.message = f'serving {self._served}'
            self._announce('serving')
        return response

    def _announce(self, stage, error=''):
        fields = {
            'model': self._served,
            'stage': stage,
            'requested': self._requested,
            'request_id': str(self._requests),
            'last_error': error,
        }
        values = [KeyValue(key=key, value=value) for key, value in fields.items()]
        self._status.publish(
            DiagnosticStatus(name=f'{self.get_name()}: model', message=stage, values=values)
        )

    def _note(self, transition):
        path = self.get_parameter('journal').value
        if path:
            with open(path, 'a', encoding='utf-8') as journal:
                journal.write(f'{transition} {self.get_name()} {os.getpid()}\n')


def main() -> None:
    """Spin until told to stop."""
    rclpy.init()
    # Some tests kill it and start it again; what Fast DDS makes of that is not theirs to test.
    with clear_of_the_dead():
        node = ManagedNode()
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except rclpy_implementation.RCLError:
        if rclpy.ok():  # else a signal came between two steps of the executor
            raise
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == '__main__':
    main()
