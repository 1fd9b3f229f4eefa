"""A managed node that serves models, as it is seen from outside."""

from dataclasses import dataclass
from typing import Protocol

from edge_seg.models.reference import is_path, is_version
from edge_seg.runtime.managing.managed_node import ManagedNode

AT_REST = frozenset(('serving', 'rejected', 'none'))
"""Stages of ~/model_status without a load under way."""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """What a node says on ~/model_status.

    Attributes:
        model: 'name@version' that serves, '' for none.
        stage: 'serving' or 'none' at rest, a load stage while loading, 'rejected' after a load
            that failed.
        requested: text of the last request.
        request_id: counts the requests.
        last_error: why the last candidate was refused.
    """

    model: str
    stage: str
    requested: str
    request_id: int
    last_error: str

    def fulfils(self, request: str) -> bool:
        """Say whether a request was granted, as far as names tell.

        The stage alone does not say it: that the model before has passed its trial may be told
        while the requested one is still being loaded. Of a path only the node knows what it names.
        """
        if self.stage != 'serving':
            return False
        if is_path(request):
            return bool(self.model)
        name, _, selector = request.partition('@')
        served, _, version = self.model.partition('@')
        return served == name and (version == selector or not is_version(selector))


@dataclass(frozen=True, slots=True)
class Reply:
    """What a node answered to a request; accepted is False without an answer, too.

    ``answered`` is False when no answer came: the node may have taken the request all the same.
    """

    accepted: bool
    reason: str
    answered: bool = True


class ModelNode(ManagedNode, Protocol):
    """A managed node with a parameter `model` and a topic `~/model_status`."""

    def serves_models(self) -> bool:
        """Say whether somebody publishes the node's ~/model_status."""

    def served_model(self) -> ServedModel | None:
        """Return the last ~/model_status of the present process; None when none came yet."""

    def last_status(self) -> ServedModel | None:
        """Return the last ~/model_status, be it of a process that is gone; None for none."""

    def get_model(self, timeout_s: float) -> str | None:
        """Read the parameter `model`; None without an answer."""

    def set_model(self, model: str, timeout_s: float) -> Reply:
        """Set the parameter `model`; the load itself goes on in the background."""

    def roll_back(self, timeout_s: float) -> Reply:
        """Call ~/rollback, which puts the node's previous model back."""
