"""Runs the CUDA source of the preprocessing kernel on the CPU, compiled by the host's compiler."""

import ctypes
import os
from pathlib import Path
import shutil
import subprocess
import tempfile

from edge_seg.backends.tensorrt.preprocessing.kernel import BLOCK, KernelProgram
import numpy as np
import numpy.typing as npt
import pytest

_BEFORE = """
#include <cmath>
#define __device__
#define __global__
struct Place { int x, y, z; };
static Place blockIdx, blockDim, threadIdx;
"""
_AFTER = """
extern "C" void run(const pixel_t *image, const element_t *table, element_t *tensor,
                    int gx, int gy, int bx, int by) {
  blockDim = {bx, by, 1};
  for (int block_y = 0; block_y < gy; ++block_y)
    for (int block_x = 0; block_x < gx; ++block_x)
      for (int y = 0; y < by; ++y)
        for (int x = 0; x < bx; ++x) {
          blockIdx = {block_x, block_y, 0};
          threadIdx = {x, y, 0};
          preprocess(image, table, tensor);
        }
}
"""


def fake_nvcc(folder: Path) -> Path:
    """Write a stand-in for nvcc that compiles for the host; gives the folder to put on PATH.

    What it made is kept by its source, as many tests want the same kernel.
    """
    compiler = shutil.which('g++') or shutil.which('c++')
    if compiler is None:
        pytest.skip('there is no C++ compiler to run the kernel with')
    bin_folder, kept = folder / 'bin', Path(tempfile.gettempdir()) / f'fake_nvcc.{os.getpid()}'
    bin_folder.mkdir()
    kept.mkdir(mode=0o700, exist_ok=True)
    (bin_folder / 'before').write_text(_BEFORE)
    (bin_folder / 'after').write_text(_AFTER)
    script = bin_folder / 'nvcc'
    script.write_text(
        f"""#!/bin/sh
        test "$1" = -cubin || exit 9
        case "$2" in -arch=sm_[0-9]*) ;; *) exit 9;; esac
        made={kept}/$(sha256sum "$5" | cut -c1-64).so
        cat "{bin_folder}/before" "$5" "{bin_folder}/after" > "$4.cpp"
        test -f "$made" || {compiler} -std=c++14 -O1 -shared -fPIC -o "$made" "$4.cpp" || exit 1
        cp "$made" "$4"
        """
    )
    script.chmod(0o700)
    return bin_folder


def run_on_host(
    program: KernelProgram,
    image: npt.NDArray[np.uint8],
    shape: tuple[int, ...],
    dtype: str,
    folder: Path,
) -> npt.NDArray[np.generic]:
    """Compile and run every thread one after the other; skips where there is no compiler."""
    compiler = shutil.which('g++') or shutil.which('c++')
    if compiler is None:
        pytest.skip('there is no C++ compiler to run the kernel with')
    source, library = folder / 'kernel.cpp', folder / 'kernel.so'
    source.write_text(_BEFORE + program.source + _AFTER)
    subprocess.run(
        [compiler, '-std=c++14', '-O1', '-shared', '-fPIC', '-o', library, source], check=True
    )
    tensor = np.zeros(shape, dtype)
    pixels = np.ascontiguousarray(image)
    table = np.ascontiguousarray(program.table)
    pointers = [ctypes.c_void_p(each.ctypes.data) for each in (pixels, table, tensor)]
    ctypes.CDLL(str(library)).run(*pointers, *program.grid[:2], *BLOCK[:2])
    return tensor
