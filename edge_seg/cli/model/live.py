"""``edge_seg model activate`` and ``rollback``: change the model of a running node."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TYPE_CHECKING

import click
from edge_seg.cli.main import REFUSED, UNAVAILABLE
from edge_seg.cli.view import json_option, show_json
from edge_seg.errors import BackendUnavailable
from edge_seg.models.reference import is_path, parse_reference

if TYPE_CHECKING:
    from edge_seg.cli.model.node import LiveNode
    from edge_seg.runtime.managing.model_node import Reply

ANSWER_S = 5.0


def node_options(function: Any) -> Any:
    """Give a command --node, --wait and --timeout."""
    options: list[Callable[[Any], Any]] = [
        click.option(
            '--node', default='/segmentation', show_default=True, help='Full name of the node.'
        ),
        click.option(
            '--wait',
            'wait_s',
            type=click.FloatRange(min=0),
            default=5.0,
            show_default=True,
            help='Seconds to wait for the node to be found.',
        ),
        click.option(
            '--timeout',
            'timeout_s',
            type=click.FloatRange(min=0),
            default=300.0,
            show_default=True,
            help='Seconds to wait for the model to serve.',
        ),
    ]
    for option in reversed(options):
        function = option(function)
    return function


@click.command()
@click.argument('model')
@node_options
@click.option('--no-wait', is_flag=True, help='Return when the node has taken the request.')
@json_option
def activate(
    model: str, node: str, wait_s: float, timeout_s: float, no_wait: bool, as_json: bool
) -> int:
    """Let a running node serve MODEL: a name in the node's store, or a path on its machine.

    Sets the node's parameter model, waits until the model serves or is refused, and reads the
    parameter back.
    """
    if is_path(model):
        model = str(Path(model).expanduser().absolute())
    else:
        parse_reference(model)
    with _node(node) as live:
        return _activated(live, model, (wait_s, 0.0 if no_wait else timeout_s), as_json)


@click.command()
@node_options
@json_option
def rollback(node: str, wait_s: float, timeout_s: float, as_json: bool) -> int:
    """Let a running node serve the model that it served before."""
    with _node(node) as live:
        live.state(wait_s)
        return _report_reply(live, live.roll_back(timeout_s), as_json)


@contextmanager
def _node(name: str) -> Iterator['LiveNode']:
    try:
        from edge_seg.cli.model.node import connected
    except ImportError as error:
        raise BackendUnavailable(
            f'ROS 2 is not here ({error})', remedy='source its setup.bash first'
        ) from error
    with connected(name if name.startswith('/') else f'/{name}') as live:
        yield live


def _activated(live: 'LiveNode', model: str, limits_s: tuple[float, float], as_json: bool) -> int:
    wait_s, timeout_s = limits_s
    from edge_seg.cli.model.node import LOADED_STATES

    state = live.state(wait_s)
    before = live.status(wait_s)
    reply = live.set_model(model, ANSWER_S)
    if not reply.accepted:
        return _report_reply(live, reply, as_json)
    if state not in LOADED_STATES:
        message = f'{live.name} is {state.value}: it loads {model} when it is configured'
        return _report(live, True, message, as_json)
    if timeout_s == 0:
        return _report(live, True, f'{live.name} is loading {model}', as_json)
    after = before.request_id if before is not None else 0
    status = live.settled(
        model, after, timeout_s, lambda stage: click.echo(f'  {stage}', err=True)
    )
    if status is None:
        message = f'{model} neither serves nor is refused after {timeout_s:g} s'
        return _report(live, False, message, as_json, code=UNAVAILABLE)
    if not status.fulfils(model):
        message = status.last_error or f'{status.requested!r} was requested meanwhile'
        return _report(live, False, message, as_json)
    return _report(live, True, f'{live.name} serves {status.model}', as_json)


def _report_reply(live: 'LiveNode', reply: 'Reply', as_json: bool) -> int:
    code = REFUSED if reply.answered else UNAVAILABLE
    return _report(live, reply.accepted, reply.reason, as_json, code=code)


def _report(
    live: 'LiveNode', success: bool, message: str, as_json: bool, *, code: int = REFUSED
) -> int:
    """Say what came of it, with the parameter as the node has it now."""
    parameter = live.parameter(ANSWER_S)
    status = live.status(ANSWER_S)
    served = status.model if status is not None else ''
    if as_json:
        show_json(
            {
                'node': live.name,
                'success': success,
                'message': message,
                'serves': served,
                'parameter': parameter,
            }
        )
    elif success:
        click.echo(f'{message} (parameter model: {parameter})')
    else:
        refusal = f'edge_seg: {live.name}: {message}'
        click.echo(f'{refusal}; it serves {served or "nothing"}', err=True)
    return 0 if success else code
