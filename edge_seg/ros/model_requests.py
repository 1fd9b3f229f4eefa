"""Requests for another model: the parameter ``model`` and the services reload and rollback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edge_seg.errors import EdgeSegError, NoActiveModel
from edge_seg.runtime.loading.loader import ModelLoader
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.task import Future
from std_srvs.srv import Trigger

Outcome = tuple[bool, str]
WATCH_LOG_S = 60.0


class ModelRequests:
    """Hands requests to the loader and keeps the parameter ``model`` equal to what serves.

    Everything here runs in the executor's thread, except ``finished``, with which the loader's
    thread leaves word.

    Args:
        node: owner; its parameter ``model`` is declared elsewhere.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._loader: ModelLoader | None = None
        self._request = ''  # what brought the present model, e.g. 'floor@latest'
        self._pending = ''
        self._echo = ''  # the value that this object is setting itself
        self._waiting: list[Future[Outcome]] = []
        # A service that waits for a load occupies its callback group: not the one of the timers.
        group = MutuallyExclusiveCallbackGroup()
        self._services = [
            node.create_service(Trigger, '~/reload', self._on_reload, callback_group=group),
            node.create_service(Trigger, '~/rollback', self._on_rollback, callback_group=group),
        ]

    def attach(self, loader: ModelLoader, request: str) -> None:
        """Serve requests from now on; ``request`` is what brought the model that serves."""
        self._loader = loader
        self._request = request
        self._show_served()

    def detach(self) -> None:
        """Refuse requests from now on; those that wait are answered."""
        self._loader = None
        self._answer((False, 'the node was cleaned up before the model was loaded'))

    def review(self, request: str) -> None:
        """Refuse a new value of the parameter ``model`` when it cannot even begin to load.

        Raises:
            EdgeSegError: it does not resolve, or another load is under way.
        """
        if self._loader is not None and request != self._echo:
            self._loader.check(request)

    def apply(self, request: str) -> None:
        """Begin to load what the parameter ``model`` now names."""
        if self._loader is None or request == self._echo:
            return
        try:
            self._begin(self._loader.request, request)
        except EdgeSegError as refusal:  # reviewed a moment ago: rare, but never silent
            self._node.get_logger().error(f'model {request!r} refused: {refusal}')
            self._show_served()

    def finished(self, success: bool, message: str) -> None:
        """Take word of the end of a load; called from the loader's thread."""
        executor = self._node.executor
        if executor is not None:
            executor.create_task(self._on_finished, success, message)

    def _on_finished(self, success: bool, message: str) -> None:
        if success:
            self._request = self._pending or self._served()
        self._show_served()
        self._answer((success, message))

    def _begin(self, ask: Callable[[str], Any], request: str) -> None:
        ask(request)
        self._pending = request

    def _show_served(self) -> None:
        """Set the parameter to what serves, so that it never claims anything else."""
        served = self._served()
        if served and self._node.get_parameter('model').value != served:
            self._echo = served
            self._node.set_parameters([Parameter('model', value=served)])
            self._echo = ''

    def _served(self) -> str:
        return self._loader.served_reference if self._loader is not None else ''

    def _answer(self, outcome: Outcome) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            future.set_result(outcome)

    def withdrawn(self, manifest_sha256: str, message: str) -> None:
        """Take word that a model was withdrawn after its swap; called from any thread."""
        loader = self._loader
        if loader is not None:
            loader.withdrawn(manifest_sha256)
        self.finished(False, message)

    def worn_out(self, error: str) -> None:
        """Take word that the model fails again and again; called from any thread."""
        executor = self._node.executor
        if executor is not None:
            executor.create_task(self._on_worn_out, error)

    def watch(self) -> None:
        """Load what the last request names, when that is another version by now."""
        if self._loader is None:
            return
        try:
            self._loader.request_if_changed(self._request)
        except EdgeSegError as refusal:
            self._node.get_logger().warning(
                f'watching {self._request!r}: {refusal}', throttle_duration_sec=WATCH_LOG_S
            )

    def _on_worn_out(self, error: str) -> None:
        self._node.get_logger().error(f'the model fails again and again: {error}')
        if self._loader is None:
            return
        try:
            self._loader.try_next_backend()
        except EdgeSegError as refusal:
            self._node.get_logger().error(f'no other backend takes over: {refusal}')

    async def _on_reload(
        self, request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        """Resolve the last request anew (a new latest version, say) and load what it names."""

        def again(loader: ModelLoader) -> str:
            self._begin(loader.request, self._request)
            return ''

        return await self._serve(response, again)

    async def _on_rollback(
        self, request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:

        def back(loader: ModelLoader) -> str:
            serving = loader.roll_back()
            self._request, self._pending = serving or self._request, ''
            return serving

        return await self._serve(response, back)

    async def _serve(
        self, response: Trigger.Response, ask: Callable[[ModelLoader], str]
    ) -> Trigger.Response:
        """Ask the loader; what it does not answer at once is awaited."""
        try:
            if self._loader is None:
                raise NoActiveModel('the node is not configured', remedy='configure it first')
            serving = ask(self._loader)
        except EdgeSegError as refusal:
            response.success, response.message = False, str(refusal)
            return response
        if serving:
            self._show_served()
            response.success, response.message = True, f'serving {serving}'
            return response
        future: Future[Outcome] = Future(executor=self._node.executor)
        self._waiting.append(future)
        outcome = await future
        if outcome is not None:
            response.success, response.message = outcome
        return response
