"""Build and install edge_seg; all package metadata is here and in package.xml."""

import os
from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = 'edge_seg'
SHARE = Path('share', PACKAGE)


def shared_files(*folders):
    """Return what lies under `folders` as data_files entries, the folders kept."""
    entries = []
    for top in folders:
        for folder, subfolders, names in os.walk(top):
            subfolders[:] = sorted(name for name in subfolders if not name.startswith(('.', '__')))
            # A link left from a build of an older tree may point at nothing.
            files = [
                os.path.join(folder, name)
                for name in sorted(names)
                if not name.startswith('.') and os.path.isfile(os.path.join(folder, name))
            ]
            if files:
                entries.append((str(SHARE / folder), files))
    return entries


setup(
    name=PACKAGE,
    version='0.1.0',
    description=(
        'Semantic segmentation of camera images in a lifecycle node, '
        'with models swapped while it runs.'
    ),
    maintainer='edge_seg maintainers',
    maintainer_email='maintainers@edge-seg.example',
    license='Apache-2.0',
    packages=find_packages(include=[PACKAGE, f'{PACKAGE}.*']),
    package_data={
        PACKAGE: [
            'py.typed',
            'offline/imports/presets/*.yaml',
            'offline/reporting/*.css',
            'offline/reporting/*.html',
            'cli/bench/*.html',
        ]
    },
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{PACKAGE}']),
        (str(SHARE), ['package.xml']),
        ('bin', [f'resource/bin/{PACKAGE}']),
        *shared_files('launch', 'config', 'models'),
    ],
    python_requires='>=3.10',
    install_requires=['setuptools'],
    # numpy, OpenCV and the others come from rosdep on a robot, from requirements/ elsewhere.
    extras_require={
        'openvino': ['openvino>=2024.6'],
        'tensorrt': ['tensorrt>=10.3', 'pycuda>=2025.1.2'],
        'cuda-python': ['cuda-bindings>=12.6'],
        'nvml': ['nvidia-ml-py>=11.450'],  # figures of the GPU in the diagnostics, not on Jetson
        'bag': ['rosbags>=0.10'],
        'onnx': ['onnx>=1.14'],
        # Offline tools: quantisation, registries of models, archives as tar.zst.
        'quantise': ['nncf>=2.14', 'onnx>=1.14', 'onnxruntime>=1.16', 'openvino>=2024.6'],
        'pytorch': ['torch>=2.6', 'onnx>=1.14'],
        'mlflow': ['mlflow-skinny>=2.9'],
        'fsspec': ['fsspec>=2024.2'],
        'zstd': ['zstandard>=0.22'],
        # Pages and plots of edge_seg bench and edge_seg model report.
        'reports': ['jinja2>=3.0', 'matplotlib>=3.5'],
        # An extra, not tests_require: with new setuptools colcon would run no test and say OK.
        'test': ['pytest', 'pytest-timeout', 'hypothesis'],
    },
    zip_safe=False,
    entry_points={
        'console_scripts': [
            'segmentation_node = edge_seg.ros.segmentation_node:main',
            'lifecycle_manager_node = edge_seg.ros.lifecycle_manager_node:main',
            'camera_node = edge_seg.ros.camera_node:main',
            'edge_seg = edge_seg.cli.main:main',
        ],
    },
)
