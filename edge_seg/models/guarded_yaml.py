"""Reading and writing YAML of unknown origin: plain data only, bounded, no key twice."""

from collections.abc import Mapping, Sequence
import re
from typing import Any

from edge_seg.errors import ManifestInvalid
import yaml

MAX_BYTES = 1 << 20
MAX_DEPTH = 12
MAX_SCALAR = 8192

PathPart = str | int

# YAML 1.2's reading of plain scalars. PyYAML's own is 1.1, where `no` is False, 1e-3 is text,
# 010 is eight and 1:30 is ninety.
_SCALARS = (
    ('tag:yaml.org,2002:null', re.compile(r'^(?:~|null|)$'), ['~', 'n', '']),
    ('tag:yaml.org,2002:bool', re.compile(r'^(?:true|false)$'), list('tf')),
    ('tag:yaml.org,2002:int', re.compile(r'^[-+]?(?:0|[1-9][0-9]*)$'), list('-+0123456789')),
    (
        'tag:yaml.org,2002:float',
        re.compile(r'^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$'),
        list('-+0123456789.'),
    ),
)


def dotted(parts: Sequence[PathPart]) -> str:
    """Return the path of a field as text, e.g. ``classes[3].name``."""
    text = ''
    for part in parts:
        if isinstance(part, int):
            text += f'[{part}]'
        else:
            text += f'.{part}' if text else part
    return text


def shown(value: object) -> str:
    """Return a value of a document as short text for a message."""
    if value is None:
        return 'nothing'
    if isinstance(value, bool):
        return 'true' if value else 'false'
    if isinstance(value, Mapping):
        return f'a mapping of {len(value)}'
    if isinstance(value, (list, tuple)):
        return f'a list of {len(value)}'
    text = repr(value)
    return text if len(text) <= 60 else f'{text[:57]}...'


def parse_mapping(text: bytes, *, file: str) -> Mapping[str, Any]:
    """Parse one YAML document whose root is a mapping.

    Args:
        text: the document, UTF-8.
        file: name for messages.

    Raises:
        ManifestInvalid: not UTF-8, not YAML, too big, too deep, an alias, a tag, a key twice,
            a key that is not text, or a root that is not a mapping.
    """
    if len(text) > MAX_BYTES:
        raise _refused(file, '', f'{len(text)} bytes', f'at most {MAX_BYTES}')
    try:
        loader = _GuardedLoader(text.decode('utf-8'), file)
    except UnicodeDecodeError as error:
        raise _refused(file, '', f'bytes that are not UTF-8 ({error})', 'UTF-8 text') from error
    except yaml.YAMLError as error:
        raise _refused(file, '', _yaml_message(error), 'YAML') from error
    try:
        document = loader.get_single_data()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _refused(file, '', _yaml_message(error), 'YAML') from error
    finally:
        loader.dispose()
    if not isinstance(document, Mapping):
        raise _refused(file, '', shown(document), 'a mapping')
    return document


def dump_mapping(document: Mapping[str, Any]) -> bytes:
    """Write a document so that every YAML reader, 1.1 or 1.2, reads the same values."""
    text: str = yaml.dump(
        dict(document),
        Dumper=_QuotingDumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=None,
        width=99,
    )
    return text.encode('utf-8')


def _refused(file: str, field: str, found: str, expected: str) -> ManifestInvalid:
    return ManifestInvalid(file=file, field=field, found=found, expected=expected)


def _yaml_message(error: Exception) -> str:
    """One line of PyYAML's several."""
    problem: str | None = getattr(error, 'problem', None)
    mark = getattr(error, 'problem_mark', None)
    text = problem or (str(error).splitlines() or [type(error).__name__])[0]
    return f'{text} (line {mark.line + 1})' if mark is not None else text


class _GuardedLoader(yaml.SafeLoader):
    """SafeLoader that refuses what no manifest needs, before it is built."""

    def __init__(self, stream: str, file: str) -> None:
        super().__init__(stream)
        self._file = file
        self._path: list[PathPart] = []
        self._depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        step = _step(index)
        self._path.extend(step)
        self._depth += 1
        self._guard(event)
        node = super().compose_node(parent, index)
        if isinstance(node, yaml.MappingNode):
            self._guard_keys(node)
        self._depth -= 1
        if step:
            self._path.pop()
        return node

    def _guard(self, event: Any) -> None:
        line = f'(line {event.start_mark.line + 1})'
        field = dotted(self._path)
        if isinstance(event, yaml.AliasEvent):
            raise _refused(self._file, field, f'an alias {line}', 'the value written out')
        if event.tag is not None:
            raise _refused(self._file, field, f'the tag {shown(event.tag)} {line}', 'no tags')
        if self._depth > MAX_DEPTH:
            raise _refused(self._file, field, f'nesting {line}', f'at most {MAX_DEPTH} levels')
        if isinstance(event, yaml.ScalarEvent) and len(event.value) > MAX_SCALAR:
            found = f'a value of {len(event.value)} characters {line}'
            raise _refused(self._file, field, found, f'at most {MAX_SCALAR}')

    def _guard_keys(self, node: yaml.MappingNode) -> None:
        lines: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if key.tag != 'tag:yaml.org,2002:str':
                found = f'a key that is not text (line {line})'
                raise _refused(self._file, dotted(self._path), found, 'text (quote it)')
            if key.value in lines:
                field = dotted([*self._path, key.value])
                found = f'the key twice (lines {lines[key.value]} and {line})'
                raise _refused(self._file, field, found, 'it once')
            lines[key.value] = line


def _step(index: Any) -> list[PathPart]:
    """Return the part that a child adds to the path; none for the root and for keys."""
    if isinstance(index, int):
        return [index]
    if isinstance(index, yaml.ScalarNode):
        return [str(index.value)]
    return []


class _QuotingDumper(yaml.SafeDumper):
    """SafeDumper that also quotes what only YAML 1.2 takes for a number."""


_GuardedLoader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in _SCALARS:
    _GuardedLoader.add_implicit_resolver(_tag, _pattern, _first)
    _QuotingDumper.add_implicit_resolver(_tag, _pattern, _first)
