"""Compiles libraries that look like the CUDA driver."""

from pathlib import Path
import shutil
import subprocess

import pytest

_SOURCE = """
#include <string.h>
int cuInit(unsigned flags) {{ return {init}; }}
int cuDeviceGetCount(int *count) {{ *count = {devices}; return {count_code}; }}
int cuDriverGetVersion(int *version) {{ *version = 12060; return {version_code}; }}
int cuDeviceGet(int *device, int ordinal) {{ *device = ordinal; return 0; }}
int cuDeviceGetName(char *name, int size, int device) {{
    strncpy(name, device ? "Second" : "Orin", size); return 0;
}}
int cuDeviceGetPCIBusId(char *text, int size, int device) {{
    strncpy(text, device ? "0000:65:00.0" : "0000:01:00.0", size); return device > 1 ? 101 : 0;
}}
int cuCtxPopCurrent_v2(void **context) {{ *context = 0; return 201; }}
int cuDeviceGetAttribute(int *value, int attribute, int device) {{
    switch (attribute) {{
    case 16: *value = 16; return 0;
    case 18: *value = device == 0; return 0;
    case 75: *value = 8; return 0;
    case 76: *value = 7; return 0;
    }}
    return 1;
}}
"""


def stub_driver(
    folder: Path,
    *,
    init: int = 0,
    count_code: int = 0,
    devices: int = 1,
    version_code: int = 0,
    name: str = 'libfakecuda.so',
) -> Path:
    """Compile a driver that answers as told; skips where there is no compiler."""
    compiler = shutil.which('cc') or shutil.which('gcc')
    if compiler is None:
        pytest.skip('there is no C compiler to make a fake driver with')
    source = folder / 'driver.c'
    source.write_text(
        _SOURCE.format(
            init=init, count_code=count_code, devices=devices, version_code=version_code
        )
    )
    library = folder / name
    subprocess.run([compiler, '-shared', '-fPIC', '-o', library, source], check=True)
    return library
