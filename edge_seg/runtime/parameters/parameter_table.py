"""The parameters of the nodes: name, type, default, range, unit, description, live or not."""

from edge_seg.runtime.parameters.camera_parameters import CAMERA_PARAMETERS
from edge_seg.runtime.parameters.model_parameters import MODEL_PARAMETERS
from edge_seg.runtime.parameters.parameter_spec import (
    ParameterSpec,
    ParameterType,
    ParameterValue,
    validated_values,
)
from edge_seg.runtime.parameters.tensorrt_parameters import TENSORRT_PARAMETERS

__all__ = [
    'CAMERA_PARAMETERS',
    'SEGMENTATION_PARAMETERS',
    'ParameterSpec',
    'ParameterType',
    'ParameterValue',
    'validated_values',
]

SEGMENTATION_PARAMETERS: tuple[ParameterSpec, ...] = (
    ParameterSpec(
        'model',
        'string',
        'floor',
        'Model to serve: name (the version labelled stable, else the latest), name@version, '
        'name@latest, name@label, or a path; says what serves, and while a load is under way what '
        'was asked for',
        live=True,
    ),
    ParameterSpec(
        'model_store',
        'string',
        '',
        "Folder with the models; '' = the operator's store ($EDGE_SEG_STORE, else "
        '~/.local/share/edge_seg/models), then the models installed with this package',
    ),
    ParameterSpec(
        'backend',
        'string',
        'auto',
        'Inference engine; auto takes the first that works here, in the order tensorrt, openvino, '
        'opencv',
        choices=('auto', 'tensorrt', 'openvino', 'opencv'),
    ),
    ParameterSpec(
        'device',
        'string',
        'auto',
        'Device of the backend, such as CPU, GPU, GPU.0 or cuda:0; auto lets the backend choose',
    ),
    ParameterSpec(
        'precision',
        'string',
        'auto',
        'Precision of the computation; auto is what suits the device best, such as bf16 on a '
        'processor with AMX; a named one is met or the model is refused',
        choices=('auto', 'fp32', 'fp16', 'bf16', 'int8'),
    ),
    ParameterSpec(
        'threads',
        'int',
        0,
        "Inference threads on a CPU; 0 = the backend's own choice",
        minimum=0,
        maximum=1024,
    ),
    ParameterSpec(
        'pin_threads',
        'bool',
        False,
        'Bind the inference threads to cores; only good when nothing else runs on them',
    ),
    ParameterSpec(
        'cache_dir',
        'string',
        '',
        "Folder for compiled models; '' = $XDG_CACHE_HOME/edge_seg, 'none' = no cache",
    ),
    ParameterSpec(
        'build',
        'string',
        'never',
        'Whether missing engines (TensorRT), which take minutes, are built; never refuses such a '
        'model with the command that builds it',
        choices=('never', 'on_demand'),
    ),
    ParameterSpec(
        'argmax_in_graph',
        'bool',
        False,
        'Take the winning class inside the inference graph; no confidence then',
    ),
    ParameterSpec(
        'cameras',
        'string_array',
        (),
        'Names of several cameras served by the one model; topics are then <name>/image and '
        '~/<name>/mask and so on; none = one camera, on image and ~/mask',
    ),
    ParameterSpec(
        'camera_priorities',
        'string_array',
        (),
        "Shares of the cameras where not all frames can be answered, as 'front=4'; 1 for those "
        'that are not named; no camera starves',
    ),
    ParameterSpec(
        'camera_rates_hz',
        'string_array',
        (),
        "max_rate_hz of single cameras, as 'rear=5'",
        unit='Hz',
        live=True,
    ),
    ParameterSpec(
        'image_transport',
        'string',
        'raw',
        'raw subscribes to image, compressed to image/compressed',
        choices=('raw', 'compressed'),
    ),
    ParameterSpec(
        'image_qos',
        'string',
        'auto',
        'Reliability of the image subscription; auto is reliable when every publisher offers it, '
        'else best_effort',
        choices=('auto', 'reliable', 'best_effort'),
    ),
    ParameterSpec(
        'mask_qos',
        'string',
        'reliable',
        'Reliability that masks are offered with',
        choices=('reliable', 'best_effort'),
    ),
    ParameterSpec(
        'max_age_s',
        'float',
        1.0,
        'Older frames are dropped as stale; 0 = off',
        's',
        0.0,
        3600.0,
        live=True,
    ),
    ParameterSpec(
        'max_rate_hz',
        'float',
        0.0,
        'Frames beyond this rate are dropped; 0 = off',
        'Hz',
        0.0,
        1000.0,
        live=True,
    ),
    ParameterSpec(
        'thermal_rate_hz',
        'float',
        0.0,
        'Highest rate of each camera while the kernel throttles the processor for its heat; 0 = '
        'off',
        'Hz',
        0.0,
        1000.0,
    ),
    ParameterSpec(
        'thermal_dir',
        'string',
        '/sys/class/thermal',
        'Where the thermal zones are; elsewhere in some containers',
    ),
    ParameterSpec(
        'lazy',
        'bool',
        True,
        'Compute and publish only what somebody subscribes to',
        live=True,
    ),
    ParameterSpec(
        'overlay_alpha',
        'float',
        0.5,
        'Share of the class colours in the overlay; 0 shows only the camera',
        '',
        0.0,
        1.0,
        live=True,
    ),
    ParameterSpec(
        'jpeg_quality', 'int', 80, 'JPEG quality of overlay/compressed', '', 1, 100, live=True
    ),
    ParameterSpec(
        'png_compression',
        'int',
        1,
        'PNG effort of the compressed masks; 0 is fastest, 9 smallest',
        '',
        0,
        9,
        live=True,
    ),
    ParameterSpec(
        'diagnostics_period_s', 'float', 1.0, 'Time between two diagnostics', 's', 0.1, 60.0
    ),
    ParameterSpec(
        'frame_timeout_s', 'float', 2.0, 'No frames for this long is reported', 's', 0.1, 3600.0
    ),
    ParameterSpec(
        'max_inference_errors',
        'int',
        5,
        'Inference errors in a row after which the model counts as failing',
        '',
        1,
        1000,
    ),
    ParameterSpec(
        'warmup_runs', 'int', 3, 'Inferences with a new model before it serves', '', 0, 1000
    ),
    ParameterSpec(
        'preprocess',
        'string',
        'cpu',
        'Where images are resized and normalised; gpu needs TensorRT and nvcc, auto measures both '
        'for each camera size and takes the GPU where that is faster',
        choices=('cpu', 'gpu', 'auto'),
    ),
    *MODEL_PARAMETERS,
    *TENSORRT_PARAMETERS,
)
