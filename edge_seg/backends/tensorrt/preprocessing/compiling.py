"""Compiles the preprocessing kernel on the machine where it runs, with NVIDIA's nvcc."""

import os
from pathlib import Path
import shutil
import subprocess
from tempfile import TemporaryDirectory

from edge_seg.errors import BackendUnavailable, CompileFailed

ELSEWHERE = Path('/usr/local/cuda/bin/nvcc')
"""Where JetPack and NVIDIA's packages put it, outside of most services' PATH."""
COMPILE_TIMEOUT_S = 120.0
_REMEDY = 'leave preprocessing on the CPU, with preprocess: cpu'
_MAX_TOLD = 400


def compile_kernel(source: str, compute_capability: tuple[int, int]) -> bytes:
    """Compile for one kind of GPU; takes seconds, on any thread, and touches no GPU.

    Args:
        source: CUDA C++.
        compute_capability: of the GPU, e.g. (8, 7).

    Returns:
        The binary (cubin).

    Raises:
        BackendUnavailable: there is no nvcc.
        CompileFailed: nvcc refuses the source or takes too long.
    """
    nvcc = shutil.which('nvcc') or (str(ELSEWHERE) if os.access(ELSEWHERE, os.X_OK) else '')
    if not nvcc:
        raise BackendUnavailable(
            'there is no nvcc to compile the preprocessing kernel with',
            remedy=f'install it (package cuda-nvcc), or {_REMEDY}',
        )
    major, minor = compute_capability
    with TemporaryDirectory() as folder:  # for this user only
        code, binary = Path(folder, 'preprocess.cu'), Path(folder, 'preprocess.cubin')
        code.write_text(source, 'utf-8')
        command = [nvcc, '-cubin', f'-arch=sm_{major}{minor}', '-o', str(binary), str(code)]
        try:
            subprocess.run(
                command,
                check=True,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=COMPILE_TIMEOUT_S,
            )
            return binary.read_bytes()
        except subprocess.CalledProcessError as error:
            told = ' '.join(error.stderr.decode('utf-8', 'replace').split())[:_MAX_TOLD]
            raise CompileFailed(
                f'nvcc does not compile the preprocessing kernel: {told}', remedy=_REMEDY
            ) from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CompileFailed(f'nvcc does not run: {error}', remedy=_REMEDY) from error
