"""A backend that builds as told by its options: at once, slowly, with a crash, or not at all."""

import os
from pathlib import Path
import signal
import sys
import threading

from edge_seg.backends.base import CompileOptions, CompileReport
from edge_seg.backends.build_progress import BuildProgress, OnProgress
from edge_seg.core.values import ModelSpec
from edge_seg.errors import CompileFailed


class ScriptedBuilder:
    """Options: do = build, refuse, crash, exit, wait (until cancelled) or hang (for ever).

    While a file ``gate`` lies beside the model, no build ends.
    """

    name = 'scripted'
    formats = ()
    prebuilt_suffix = '.plan'

    def build_key_parts(
        self, artifact: Path, spec: ModelSpec, options: CompileOptions
    ) -> tuple[str, ...]:
        """Give everything but where timings are kept."""
        return (repr([pair for pair in options.extra if pair[0] != 'timing_cache']),)

    def entry_problem(self, engine: Path, parts: tuple[str, ...]) -> str:
        """Take every engine but one that says that it is foreign."""
        return 'it is foreign' if engine.read_bytes() == b'foreign' else ''

    def mismatch(self, engine: Path, artifact: Path, options: CompileOptions) -> str:
        """Take every engine for what is asked for."""
        return ''

    def build_command(self, identity: str, options: CompileOptions) -> str:
        """Give a command line."""
        return f'edge_seg model build-engine {identity}'

    def build_engine(
        self,
        artifact: Path,
        spec: ModelSpec,
        options: CompileOptions,
        out_path: Path,
        *,
        on_progress: OnProgress | None,
    ) -> CompileReport:
        """Do as told."""
        assert on_progress is not None
        sys.stdout.write('{"answer": "a vendor library talks to stdout"}\n')
        sys.stdout.flush()
        os.write(1, b'as does its C code\n')
        script = dict(options.extra)
        for step in range(4):
            on_progress(BuildProgress('building', step / 4, float(step)))
        do = script['do']
        if do == 'refuse':
            raise CompileFailed('it is refused', expected='another', remedy='try another')
        if do == 'crash':
            os.kill(os.getpid(), signal.SIGSEGV)
        if do == 'exit':
            sys.stderr.write('the driver went away\n')
            sys.stderr.flush()
            os._exit(3)
        while do == 'wait' and on_progress(BuildProgress('waiting', None, 9.0)):
            threading.Event().wait(0.02)
        if do == 'wait':
            raise CompileFailed('building was cancelled')
        while do == 'hang':
            threading.Event().wait(60.0)
        while artifact.with_name('gate').exists():
            threading.Event().wait(0.02)
        half = out_path.with_name('.half')
        half.write_bytes(b'engine')
        os.replace(half, out_path)
        return CompileReport(self.name, '1', 'GPU', script.get('timing_cache', 'none'))
