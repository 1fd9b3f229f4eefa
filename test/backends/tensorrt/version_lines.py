"""Which lines of the backend a version of TensorRT has no use for, and which others no test ran.

python version_lines.py VERSION COVERAGE.json
"""

import ast
from collections.abc import Callable, Iterator
import json
from pathlib import Path
import sys

from contract import exists

QUESTIONS = ('has', 'optional')

Has = Callable[[str], bool]


def needless(source: str, has: Has) -> dict[int, str]:
    """Give the lines that cannot run, each with the member that decides it.

    Args:
        source: of a module.
        has: tells whether a version has a member.
    """
    found: dict[int, str] = {}
    for node in ast.walk(ast.parse(source)):
        for block in _blocks(node):
            for index, statement in enumerate(block):
                asked = _asked(statement)
                if not isinstance(statement, ast.If) or asked is None:
                    continue
                member, wanted = asked
                taken = has(member) is wanted
                left_out = statement.orelse if taken else statement.body
                run = statement.body if taken else statement.orelse
                if run and isinstance(run[-1], (ast.Return, ast.Raise)):
                    left_out = [*left_out, *block[index + 1 :]]
                found |= {line: member for each in left_out for line in _lines(each)}
    return found


def _blocks(node: ast.AST) -> Iterator[list[ast.stmt]]:
    for name in ('body', 'orelse', 'finalbody'):
        block = getattr(node, name, None)
        if isinstance(block, list):
            yield block


def _lines(node: ast.stmt) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def _asked(statement: ast.stmt) -> tuple[str, bool] | None:
    """Read ``if sdk.has('X')`` or ``if not sdk.has('X')``: the member, and the answer for it."""
    if not isinstance(statement, ast.If):
        return None
    test, wanted = statement.test, True
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        test, wanted = test.operand, False
    if not isinstance(test, ast.Call) or not test.args:
        return None
    asking, member = ast.unparse(test.func).rpartition('.')[2], test.args[-1]
    if asking in QUESTIONS and isinstance(member, ast.Constant):
        return str(member.value), wanted
    return None


def main(version: str, report: Path) -> int:
    """Print the figures; gives 1 when a line was not run that could have been."""
    measured = json.loads(report.read_text('utf-8'))
    explained: dict[str, int] = {}
    forgotten: list[str] = []
    wrong: list[str] = []
    for file, lines in measured['files'].items():
        excused = needless(Path(file).read_text('utf-8'), lambda dotted: exists(version, dotted))
        for line in lines['missing_lines']:
            if line in excused:
                explained[excused[line]] = explained.get(excused[line], 0) + 1
            else:
                forgotten.append(f'{file}:{line}')
        wrong += [f'{file}:{line}' for line in lines['executed_lines'] if line in excused]
    total, left_out = measured['totals']['num_statements'], sum(explained.values())
    reasons = ', '.join(f'{count} for {member}' for member, count in sorted(explained.items()))
    print(f'{version:8} {len(forgotten)} of {total} lines missed; {left_out} left out ({reasons})')
    for title, places in (('not run', forgotten), ('run against the contract', wrong)):
        for place in places:
            print(f'  {title}: {place}')
    return 1 if forgotten or wrong else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
