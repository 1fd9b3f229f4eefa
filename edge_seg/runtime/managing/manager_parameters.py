"""The parameters of the lifecycle manager, and the settings that follow from them."""

from collections.abc import Mapping
from typing import cast

from edge_seg.errors import SettingsInvalid
from edge_seg.runtime.managing.bringup import OnFailure
from edge_seg.runtime.managing.manager_state import ManagerSettings
from edge_seg.runtime.managing.rollout import RolloutLimits
from edge_seg.runtime.managing.supervision import SupervisionPolicy
from edge_seg.runtime.managing.transition_driver import TransitionLimits
from edge_seg.runtime.parameters.parameter_spec import (
    ParameterSpec,
    ParameterValue,
    validated_values,
)

ALL_MODEL_NODES = 'auto'

MANAGER_PARAMETERS: tuple[ParameterSpec, ...] = (
    ParameterSpec(
        'node_names',
        'string_array',
        ('segmentation',),
        'Lifecycle nodes in bring-up order, relative to the namespace of the manager or absolute',
    ),
    ParameterSpec(
        'autostart',
        'bool',
        True,
        'Bring the nodes up as soon as all are there, and try again with back-off when that fails',
    ),
    ParameterSpec(
        'on_startup_failure',
        'string',
        'teardown',
        'What becomes of the nodes that were moved by a bring-up that fails: back to the state '
        'in which they were met, or left where they got to',
        choices=('teardown', 'leave'),
    ),
    ParameterSpec(
        'transition_timeout_s',
        'float',
        10.0,
        'Wait for the reply to a transition; afterwards the state is polled, a late node has not '
        'failed',
        's',
        0.1,
        3600.0,
    ),
    ParameterSpec(
        'transition_limit_s',
        'float',
        180.0,
        'A node that is still in a transition, or silent, after so long has failed; leave time '
        'to build an engine',
        's',
        1.0,
        86400.0,
    ),
    ParameterSpec(
        'service_timeout_s', 'float', 2.0, 'Wait for any other answer of a node', 's', 0.1, 60.0
    ),
    ParameterSpec(
        'appear_timeout_s',
        'float',
        10.0,
        'Wait of ~/startup and ~/resume for a node that is not in the graph; autostart waits for '
        'ever',
        's',
        0.0,
        3600.0,
    ),
    ParameterSpec(
        'supervise', 'bool', True, 'Bring nodes back whose process died and was started again'
    ),
    ParameterSpec(
        'supervise_period_s', 'float', 0.5, 'Time between two looks at the nodes', 's', 0.05, 60.0
    ),
    ParameterSpec(
        'restart_backoff_min_s',
        'float',
        1.0,
        'Pause after the first attempt to bring a node back, doubled after each further one',
        's',
        0.0,
        3600.0,
    ),
    ParameterSpec(
        'restart_backoff_max_s', 'float', 30.0, 'Longest pause between attempts', 's', 0.0, 3600.0
    ),
    ParameterSpec(
        'max_restarts',
        'int',
        5,
        'Attempts to bring a node back, or to start up, before giving up; 0 = never give up',
        '',
        0,
        1000000,
    ),
    ParameterSpec(
        'stable_after_s',
        'float',
        30.0,
        'A node that was active for so long has recovered: attempts are counted from zero again',
        's',
        0.0,
        86400.0,
    ),
    ParameterSpec(
        'silent_after_s',
        'float',
        5.0,
        'A node that is in the graph but does not answer for so long is reported',
        's',
        0.1,
        3600.0,
    ),
    ParameterSpec(
        'finalize_on_shutdown',
        'bool',
        False,
        'Let ~/shutdown end in finalized, as nav2 does (only new processes can start up again); '
        'else in unconfigured',
    ),
    ParameterSpec(
        'shutdown_on_exit',
        'string',
        'auto',
        'Take the nodes down when the manager is told to end: auto when it was asked to bring '
        'them up',
        choices=('auto', 'always', 'never'),
    ),
    ParameterSpec(
        'exit_timeout_s',
        'float',
        4.0,
        'Longest time for that; ros2 launch kills after 10 s',
        's',
        0.0,
        3600.0,
    ),
    ParameterSpec(
        'rollout_model',
        'string',
        '',
        "Model for ~/rollout: 'name', 'name@version', 'name@label' or a path",
        live=True,
    ),
    ParameterSpec(
        'rollout_nodes',
        'string_array',
        (ALL_MODEL_NODES,),
        'Managed nodes that take part in rollouts, in this order; auto = all that publish '
        '~/model_status',
    ),
    ParameterSpec(
        'rollout_timeout_s',
        'float',
        300.0,
        'Longest time for one node to load and try a model; leave time to build an engine',
        's',
        1.0,
        86400.0,
    ),
    ParameterSpec(
        'watch_store',
        'string',
        '',
        "Folder of a model store to watch for what is newly published; '' = do not watch",
    ),
    ParameterSpec(
        'watch_model',
        'string',
        '',
        "Reference to watch, such as 'floor@latest' or 'floor@stable'; rolled out when it comes "
        'to mean another version',
    ),
    ParameterSpec(
        'watch_period_s', 'float', 2.0, 'Time between two looks at the store', 's', 0.1, 86400.0
    ),
)


def manager_values(values: Mapping[str, object]) -> Mapping[str, ParameterValue]:
    """Check parameter values one by one and together; what is missing has its default.

    Raises:
        SettingsInvalid: an unknown name, an invalid value, values that contradict each other.
    """
    checked = validated_values(MANAGER_PARAMETERS, values)
    names = cast('tuple[str, ...]', checked['node_names'])
    if not names or '' in names or len(set(names)) != len(names):
        raise SettingsInvalid(
            f'parameter node_names is {list(names)}',
            expected='one or more different node names, in bring-up order',
            remedy='set node_names',
        )
    participants = cast('tuple[str, ...]', checked['rollout_nodes'])
    strangers = [] if participants == (ALL_MODEL_NODES,) else set(participants) - set(names)
    if strangers:
        raise SettingsInvalid(
            f'rollout_nodes has {", ".join(sorted(strangers))}',
            expected='names out of node_names, written in the same way',
            remedy='add them to node_names',
        )
    if checked['watch_store'] and not checked['watch_model']:
        raise SettingsInvalid(
            'watch_store is set and watch_model is not',
            expected="a reference such as 'floor@latest'",
            remedy='set watch_model',
        )
    return checked


def manager_settings(
    values: Mapping[str, ParameterValue], *, full_names: Mapping[str, str]
) -> ManagerSettings:
    """Bring checked values into the form that the manager takes.

    Args:
        values: from `manager_values`.
        full_names: full node name of each entry of node_names.
    """

    def number(name: str) -> float:
        return cast('float', values[name])

    participants = cast('tuple[str, ...]', values['rollout_nodes'])
    if participants == (ALL_MODEL_NODES,):
        participants = ()
    return ManagerSettings(
        autostart=bool(values['autostart']),
        supervise=bool(values['supervise']),
        period_s=number('supervise_period_s'),
        on_failure=cast('OnFailure', values['on_startup_failure']),
        finalize=bool(values['finalize_on_shutdown']),
        limits=TransitionLimits(
            reply_timeout_s=number('transition_timeout_s'),
            limit_s=number('transition_limit_s'),
            answer_timeout_s=number('service_timeout_s'),
            appear_timeout_s=number('appear_timeout_s'),
        ),
        supervision=SupervisionPolicy(
            backoff_min_s=number('restart_backoff_min_s'),
            backoff_max_s=number('restart_backoff_max_s'),
            max_attempts=cast('int', values['max_restarts']),
            stable_after_s=number('stable_after_s'),
            silent_after_s=number('silent_after_s'),
        ),
        rollout=RolloutLimits(
            answer_timeout_s=number('service_timeout_s'),
            load_timeout_s=number('rollout_timeout_s'),
        ),
        rollout_nodes=tuple(full_names[name] for name in participants),
        watch_period_s=number('watch_period_s'),
    )
