"""Which lines ``make cover-tensorrt`` leaves out: those that the version has no use for."""

from textwrap import dedent

import pytest
from version_lines import needless

SOURCE = dedent("""\
    def bytes_of(sdk, engine):
        if sdk.has('ICudaEngine.newer'):
            return engine.newer
        return engine.older


    def watch(sdk):
        if not sdk.has('Monitor'):
            return None
        made = sdk.trt.Monitor()
        return made


    def set_flag(trt, config):
        if optional(trt, 'Flag'):
            config.set_flag(trt.Flag)
        else:
            config.level = 1
        config.done = True


    def ask(sdk, size):
        if size > 3:
            return sdk.has('Monitor')
        return False
""")


@pytest.mark.parametrize(
    ('members', 'lines'),
    [
        (('ICudaEngine.newer', 'Monitor', 'Flag'), {4, 9, 18}),
        ((), {3, 10, 11, 16}),
        (('Monitor',), {3, 9, 16}),
    ],
)
def test_only_the_branch_that_the_version_does_not_take_is_excused(
    members: tuple[str, ...], lines: set[int]
) -> None:
    assert set(needless(SOURCE, lambda member: member in members)) == lines


def test_the_member_that_decides_is_named() -> None:
    found = needless(SOURCE, lambda member: False)
    assert found[3] == 'ICudaEngine.newer'
    assert found[10] == 'Monitor'
