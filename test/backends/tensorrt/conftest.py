"""Shared by the TensorRT tests: machines with each version, checked for what is left on them."""

from collections.abc import Callable, Iterator
from pathlib import Path
import sys

from contract import UNDER_TEST, USUAL
from fake_machine import FakeMachine
import pytest

# The model flow of the runtime tests and the checks for real GPUs run on the fakes too.
for folder in ('runtime', 'gpu'):
    sys.path.append(str(Path(__file__).parents[2] / folder))


@pytest.fixture(params=UNDER_TEST)
def machine(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[FakeMachine]:
    """Give a machine with each version in turn; afterwards nothing may be left on its GPU."""
    made = FakeMachine(request.param, monkeypatch, tmp_path)
    yield made
    assert made.settled() == []


@pytest.fixture
def any_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Callable[[str], FakeMachine]]:
    """Make a machine with one chosen version."""
    made: list[FakeMachine] = []

    def make(version: str = USUAL) -> FakeMachine:
        made.append(FakeMachine(version, monkeypatch, tmp_path))
        return made[-1]

    yield make
    for each in made:
        assert each.settled() == []
