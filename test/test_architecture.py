"""The rules of the code that no linter knows: sizes, names, where errors may be swallowed."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / 'edge_seg'

MAX_MODULE_LINES = 300
MAX_FUNCTION_LINES = 40
VAGUE_NAMES = ('util', 'helper', 'common', 'misc')

Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules() -> Iterator[tuple[str, str]]:
    """Give path and text of every module of the package."""
    for path in sorted(PACKAGE.rglob('*.py')):
        yield str(path.relative_to(ROOT)), path.read_text('utf-8')


def modules_of_tests() -> Iterator[tuple[str, str]]:
    """Give path and text of every module of the tests."""
    for path in sorted(ROOT.glob('test/**/*.py')):
        yield str(path.relative_to(ROOT)), path.read_text('utf-8')


def functions() -> Iterator[tuple[str, Function]]:
    """Give place and tree of every function and method of the package."""
    for name, text in modules():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, Function):
                yield f'{name}:{node.lineno} {node.name}', node


def imported_from(tree: ast.AST, package: str) -> set[str]:
    """Give the names that a module imports from `package`."""
    return {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or '').split('.')[0] == package
        for alias in node.names
    }


def evaluated_annotations(tree: ast.AST) -> Iterator[ast.expr]:
    """Give the annotations that Python evaluates when it defines a function."""
    for node in ast.walk(tree):
        if isinstance(node, Function):
            arguments = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
            for annotation in (*(argument.annotation for argument in arguments), node.returns):
                if annotation is not None:
                    yield annotation


def code_lines(function: Function) -> int:
    """Count a function's lines, those of its docstring aside."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    if ast.get_docstring(function, clean=False) is None:
        return lines
    docstring = function.body[0]
    return lines - ((docstring.end_lineno or docstring.lineno) - docstring.lineno + 1)


def test_every_module_says_in_one_sentence_what_it_is() -> None:
    silent = [
        name
        for name, text in modules()
        if not (ast.get_docstring(ast.parse(text)) or '').split('\n\n')[0].endswith('.')
    ]
    assert silent == []


def test_no_module_outgrows_its_room() -> None:
    sizes = {name: len(text.splitlines()) for name, text in modules()}
    for path in (*ROOT.glob('launch/*.py'), *ROOT.glob('tools/*.py'), *ROOT.glob('bench/*.py')):
        sizes[str(path.relative_to(ROOT))] = len(path.read_text('utf-8').splitlines())
    assert {n: s for n, s in sizes.items() if s > MAX_MODULE_LINES} == {}


def test_functions_are_short() -> None:
    sizes = {place: code_lines(function) for place, function in functions()}
    assert {p: s for p, s in sizes.items() if s > MAX_FUNCTION_LINES} == {}


def test_no_module_has_a_vague_name() -> None:
    names = [name for name, _ in modules()]
    assert [n for n in names if any(word in Path(n).stem for word in VAGUE_NAMES)] == []


def test_every_folder_with_code_is_installed() -> None:
    folders = {path.parent for path in PACKAGE.rglob('*.py')}
    assert [str(f) for f in sorted(folders) if not (f / '__init__.py').is_file()] == []


def test_types_of_rclpy_are_subscripted_for_the_type_checker_only() -> None:
    """Publisher[Image] is a TypeError on Humble and Jazzy, unless nobody evaluates it."""
    subscripted = [
        f'{name}:{part.lineno} {part.value.id}'
        for name, text in (*modules(), *modules_of_tests())
        if 'annotations' not in imported_from(tree := ast.parse(text), '__future__')
        for annotation in evaluated_annotations(tree)
        for part in ast.walk(annotation)
        if isinstance(part, ast.Subscript)
        and isinstance(part.value, ast.Name)
        and part.value.id in imported_from(tree, 'rclpy')
    ]
    assert subscripted == [], 'write `from __future__ import annotations` there'
