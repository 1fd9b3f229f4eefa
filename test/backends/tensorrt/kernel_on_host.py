"""Runs the CUDA source of the preprocessing kernel on the CPU, compiled by the host's compiler."""

import ctypes
from pathlib import Path
import shutil
import subprocess

from edge_seg.backends.tensorrt.preprocess_kernel import BLOCK, KernelProgram
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
