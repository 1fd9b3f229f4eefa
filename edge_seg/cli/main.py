"""The command ``edge_seg``: finds the subcommand, turns errors into one line and an exit code."""

from collections.abc import Mapping, Sequence
from importlib import import_module
import sys
from typing import Any

import click
from edge_seg import __version__
from edge_seg.errors import (
    BackendUnavailable,
    EdgeSegError,
    IntegrityError,
    KpiUnavailable,
    ManifestInvalid,
    ModelNotFound,
    OptionInvalid,
    RegistryUnavailable,
    SettingsInvalid,
    SourceUnavailable,
)

REFUSED = 1
USAGE = 2
NOT_FOUND = 3
INVALID = 4
UNAVAILABLE = 5
INTERRUPTED = 130
MISSING = (
    BackendUnavailable,
    KpiUnavailable,
    RegistryUnavailable,
    SettingsInvalid,
    SourceUnavailable,
)
EXIT_CODES = (
    'Exit codes: 0 done, 1 refused, 2 wrong usage, 3 no such model, 4 a manifest, digest or '
    'signature is wrong, 5 something needed is missing or does not answer, 130 interrupted.'
)

# A subcommand is imported when it is asked for: --help must not wait for OpenVINO or rclpy.
COMMANDS: Mapping[str, tuple[str, str]] = {
    'model': ('edge_seg.cli.model.command:command', 'Look after the models in a store.'),
    'kpi': ('edge_seg.cli.kpi:command', 'Compare what was measured.'),
    'demo': ('edge_seg.cli.demo.command:command', 'Run camera, segmentation and a mask viewer.'),
    'bench': ('edge_seg.cli.bench.command:command', 'Measure, and compare with the targets.'),
}


class LazyGroup(click.Group):
    """A group whose commands are imported on demand.

    Args:
        table: name → ('module:attribute', one line of help).
    """

    def __init__(self, *args: Any, table: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of the table."""
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in self._table:
            return None
        module, _, attribute = self._table[cmd_name][0].partition(':')
        try:
            command: click.Command = getattr(import_module(module), attribute)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
            raise click.UsageError(f'{cmd_name} is not part of this installation') from error
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help from the table, importing nothing."""
        with formatter.section('Commands'):
            formatter.write_dl([(name, text) for name, (_, text) in self._table.items()])


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    epilog=EXIT_CODES,
    context_settings={'help_option_names': ['-h', '--help']},
)
@click.version_option(__version__, message='%(prog)s %(version)s')
def command() -> None:
    """Semantic segmentation of camera images, with models that change while it runs."""


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        args: the words after ``edge_seg``; None = sys.argv.

    Returns:
        The exit code; see EXIT_CODES.
    """
    words = list(sys.argv[1:] if args is None else args)
    try:
        result = command.main(words, prog_name='edge_seg', standalone_mode=False)
    except click.UsageError as error:
        return _usage(error)
    except click.ClickException as error:
        return _failed(error.format_message(), REFUSED)
    except (click.Abort, KeyboardInterrupt):
        return _failed('interrupted', INTERRUPTED)
    except EdgeSegError as error:
        return _failed(str(error), exit_code_of(error))
    except OSError as error:
        return _failed(f'{error.filename or "system"}: {error.strerror or error}', REFUSED)
    return result if isinstance(result, int) else 0


def exit_code_of(error: EdgeSegError) -> int:
    """Return the exit code that stands for an error."""
    if isinstance(error, OptionInvalid):
        return USAGE
    if isinstance(error, ModelNotFound):
        return NOT_FOUND
    if isinstance(error, (IntegrityError, ManifestInvalid)):
        return INVALID
    if isinstance(error, MISSING):
        return UNAVAILABLE
    return REFUSED


def _usage(error: click.UsageError) -> int:
    path = error.ctx.command_path if error.ctx is not None else 'edge_seg'
    text = error.format_message()
    if type(error).__name__ == 'NoArgsIsHelpError':  # click 8.2: the message is the help
        click.echo(text, err=True)
        return USAGE
    return _failed(f'{text} (see {path} --help)', USAGE)


def _failed(message: str, code: int) -> int:
    click.echo(f'edge_seg: {" ".join(message.split())}', err=True)
    return code


if __name__ == '__main__':
    sys.exit(main())
