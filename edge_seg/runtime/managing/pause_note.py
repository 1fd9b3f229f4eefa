"""Remembers over the death of a manager that an operator paused the nodes."""

from collections.abc import Sequence
import json
import logging
import os
from pathlib import Path
import tempfile

from edge_seg.runtime.managing.managed_node import Observation

_log = logging.getLogger(__name__)


class PauseNote:
    """A small file that names the paused processes.

    It counts only while one of these processes is still inactive under its name, so a note that
    outlived its system means nothing. Without it, a manager that is killed and started again
    could not tell nodes that somebody paused from nodes whose bring-up was cut off.

    Args:
        path: the file; its folder is made, for this user only.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def leave(self, observations: Sequence[Observation]) -> None:
        """Note that these processes are paused. A note that cannot be written is logged."""
        processes = sorted(set().union(*(seen.incarnation for seen in observations)))
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(
                'w', dir=self._path.parent, delete=False, encoding='utf-8'
            ) as file:
                json.dump({'paused': processes}, file)
            os.replace(file.name, self._path)
        except OSError as problem:
            _log.warning('the pause will not outlive this manager: %s', problem)

    def withdraw(self) -> None:
        """Forget the pause."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as problem:
            _log.warning('cannot remove %s: %s', self._path, problem)

    def tells_of(self, observations: Sequence[Observation]) -> bool:
        """Say whether one of these processes was paused."""
        try:
            note = json.loads(self._path.read_text(encoding='utf-8'))
            paused = frozenset(note['paused'])
        except (OSError, ValueError, KeyError, TypeError):
            return False
        return any(seen.incarnation & paused for seen in observations)


def default_pause_note(manager: str, *, domain: str) -> Path:
    """Return the file of a manager, in a folder that is this user's and gone after a reboot.

    Args:
        manager: full name of the manager node.
        domain: ROS domain, so that two robots in simulation do not meet.
    """
    runtime = os.environ.get('XDG_RUNTIME_DIR', '')
    base = Path(runtime) if os.path.isabs(runtime) else Path(tempfile.gettempdir())
    name = f'{domain or "0"}{manager.replace("/", ".")}.json'
    return base / f'edge_seg-{os.getuid()}' / name
