"""Tables on a terminal: what is short stays in one piece, however narrow the terminal."""

from command_line import Terminal
from edge_seg.cli.view import show_table
import pytest

LONG = 'a reason that takes more words than a narrow terminal has room for'


def shown(columns: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv('COLUMNS', str(columns))
    monkeypatch.setenv('TERM', 'xterm')
    screen = Terminal()
    monkeypatch.setattr('sys.stdout', screen)
    row = ['2026-11-21 11:29', 'optimize', 'openvino', '17.6 ms', LONG]
    show_table(['TIME', 'KIND', 'BACKEND', 'P50', 'WHY'], [row])
    return screen.getvalue().splitlines()


@pytest.mark.parametrize('columns', [20, 60, 80])
def test_only_long_cells_are_folded(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    _, first, *more = shown(columns, monkeypatch)
    assert first.startswith('2026-11-21 11:29  optimize  openvino  17.6 ms  a reason')
    assert all(line.startswith(' ' * 47) for line in more)
    assert more
    assert max(len(line) for line in more) <= max(columns, 47 + 16)


def test_a_wide_terminal_folds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [line.rstrip() for line in shown(200, monkeypatch)][1].endswith(LONG)
