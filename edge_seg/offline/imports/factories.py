"""Networks that a function of the user's makes."""

from importlib import import_module, util
from pathlib import Path
import sys
from typing import Any

from edge_seg.errors import CompileFailed, OptionInvalid

FOREIGN_ERRORS = (Exception, SystemExit)
"""The user's own code, and the packages that it calls, may raise anything."""


def is_factory(source: str) -> bool:
    """Say whether a source is 'module:function' or 'file.py:function', not a file."""
    module, colon, name = source.rpartition(':')
    return bool(colon) and name.isidentifier() and bool(module) and not Path(source).exists()


def network_from(source: str, torch: Any) -> Any:
    """Call a factory.

    Args:
        source: its name.
        torch: the package PyTorch.

    Returns:
        The torch.nn.Module that it made, for inference on the processor.

    Raises:
        OptionInvalid: there is no such factory.
        CompileFailed: it fails, or makes something else.
    """
    module_name, _, name = source.rpartition(':')
    try:
        module = _module(module_name)
        factory = getattr(module, name)
    except FOREIGN_ERRORS as error:
        raise OptionInvalid(
            f'{source} cannot be imported: {first_line(error)}',
            expected='package.module:function or path/file.py:function',
        ) from error
    try:
        network = factory()
    except FOREIGN_ERRORS as error:
        raise CompileFailed(
            f'{source}() fails: {type(error).__name__}: {first_line(error)}',
            expected='a function without arguments that returns a torch.nn.Module',
        ) from error
    if not isinstance(network, torch.nn.Module):
        raise CompileFailed(
            f'{source}() returns {type(network).__name__}', expected='a torch.nn.Module'
        )
    return network.eval().cpu()


def _module(name: str) -> Any:
    path = Path(name)
    # As `python file.py` and `python -m` do; a console script does neither.
    here = str(path.resolve().parent if path.suffix == '.py' else Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    if path.suffix != '.py':
        return import_module(name)
    spec = util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ImportError(f'there is no {path}')
    module = util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


def first_line(error: BaseException) -> str:
    """Return what an error of somebody else says, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
