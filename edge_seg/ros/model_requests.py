"""Requests for another model: the parameter ``model`` and the services reload and rollback."""

from __future__ import annotations

from collections.abc import Callable

from edge_seg.errors import EdgeSegError, NoActiveModel
from edge_seg.runtime.loading.loader import ModelLoader
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.task import Future
from std_srvs.srv import Trigger

Outcome = tuple[bool, str]
WATCH_LOG_S = 60.0
WORN_OUT_LOG_S = 5.0


class ModelRequests:
    """Hands requests to the loader and keeps the parameter ``model`` equal to what serves.

    What was asked for, and what served before, the loader knows. Everything here runs in the
    executor's thread, except ``finished``, ``withdrawn`` and ``worn_out``, with which other
    threads leave word.

    Args:
        node: owner; its parameter ``model`` is declared elsewhere.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._loader: ModelLoader | None = None
        self._echo = ''  # the value that this object is setting itself
        self._waiting: dict[int, Future[Outcome]] = {}  # by the number of the request
        # A service that waits for a load occupies its callback group: neither that of the timers,
        # nor that of the other service, for a rollback gives a reload up.
        self._services = [
            node.create_service(
                Trigger, name, answer, callback_group=MutuallyExclusiveCallbackGroup()
            )
            for name, answer in (('~/reload', self._on_reload), ('~/rollback', self._on_rollback))
        ]

    def attach(self, loader: ModelLoader) -> None:
        """Serve requests from now on."""
        self._loader = loader
        self._show_served()

    def detach(self) -> None:
        """Refuse requests from now on; those that wait are answered."""
        self._loader = None
        for number in list(self._waiting):
            self._answer(number, (False, 'the node was cleaned up before the model was loaded'))

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
            self._loader.request(request)
        except EdgeSegError as refusal:  # reviewed a moment ago: rare, but never silent
            self._node.get_logger().error(f'model {request!r} refused: {refusal}')
            self._show_served()

    def finished(self, number: int, success: bool, message: str) -> None:
        """Take word of the end of a load; called from the loader's thread."""

        def tell() -> None:
            self._show_served()
            self._answer(number, (success, message))

        self._later(tell)

    def _later(self, task: Callable[[], None]) -> None:
        """Do something in the executor's thread."""
        executor = self._node.executor
        if executor is not None:
            executor.create_task(task)

    def _show_served(self) -> None:
        """Set the parameter to what serves, so that it never claims anything else."""
        served = self._served()
        if served and self._node.get_parameter('model').value != served:
            self._echo = served
            self._node.set_parameters([Parameter('model', value=served)])
            self._echo = ''

    def _served(self) -> str:
        return self._loader.served_reference if self._loader is not None else ''

    def _answer(self, number: int, outcome: Outcome) -> None:
        future = self._waiting.pop(number, None)
        if future is not None:
            future.set_result(outcome)

    def withdrawn(self, manifest_sha256: str) -> None:
        """Take word that a model was withdrawn after its swap; called from any thread."""
        loader = self._loader
        if loader is not None:
            loader.withdrawn(manifest_sha256)
        self._later(self._show_served)

    def worn_out(self, error: str) -> None:
        """Take word that the model fails again and again; called from any thread."""
        self._later(lambda: self._on_worn_out(error))

    def watch(self) -> None:
        """Load what the request for the present model names by now, when that is another one."""
        if self._loader is None:
            return
        try:
            self._loader.follow()
        except EdgeSegError as refusal:
            self._node.get_logger().warning(
                f'watching the store: {refusal}', throttle_duration_sec=WATCH_LOG_S
            )

    def _on_worn_out(self, error: str) -> None:
        self._node.get_logger().error(
            f'the model fails again and again: {error}', throttle_duration_sec=WORN_OUT_LOG_S
        )
        if self._loader is None:
            return
        try:
            self._loader.fall_back()
        except EdgeSegError as refusal:
            self._node.get_logger().error(
                f'no model takes over: {refusal}', throttle_duration_sec=WORN_OUT_LOG_S
            )

    async def _on_reload(
        self, request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        """Resolve anew what was asked for (a new latest version, say) and load what it names."""

        def again(loader: ModelLoader) -> str:
            loader.reload()
            return ''

        return await self._serve(response, again)

    async def _on_rollback(
        self, request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        return await self._serve(response, ModelLoader.roll_back)

    async def _serve(
        self, response: Trigger.Response, ask: Callable[[ModelLoader], str]
    ) -> Trigger.Response:
        """Ask the loader; what it does not answer at once is awaited."""
        try:
            if self._loader is None:
                raise NoActiveModel('the node is not configured', remedy='configure it first')
            serving = ask(self._loader)
            number = self._loader.request_number
        except EdgeSegError as refusal:
            response.success, response.message = False, str(refusal)
            return response
        if serving:
            self._show_served()
            response.success, response.message = True, f'serving {serving}'
            return response
        future: Future[Outcome] = Future(executor=self._node.executor)
        self._waiting[number] = future
        outcome = await future
        if outcome is not None:
            response.success, response.message = outcome
        return response
