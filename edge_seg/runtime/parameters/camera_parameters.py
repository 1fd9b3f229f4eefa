"""The parameters of the camera node: name, type, default, range, unit, description."""

from edge_seg.runtime.parameters.parameter_spec import ParameterSpec

CAMERA_PARAMETERS: tuple[ParameterSpec, ...] = (
    ParameterSpec(
        'source',
        'string',
        'synthetic',
        "'synthetic' (rendered scenes with ground truth), or the path of a video, a folder of "
        'images, a V4L2 device (/dev/video0) or a ROS 2 bag',
    ),
    ParameterSpec('rate_hz', 'float', 30.0, 'Frames a second', 'Hz', 0.1, 1000.0),
    ParameterSpec('width', 'int', 640, 'Image width; sources are scaled to it', 'px', 2, 16384),
    ParameterSpec('height', 'int', 480, 'Image height; sources are scaled to it', 'px', 2, 16384),
    ParameterSpec(
        'encoding',
        'string',
        'rgb8',
        'Encoding of the published image',
        choices=(
            'rgb8',
            'bgr8',
            'rgba8',
            'bgra8',
            'mono8',
            'mono16',
            '16UC1',
            'yuv422',
            'yuv422_yuy2',
            'nv12',
            'nv21',
            'bayer_rggb8',
            'bayer_bggr8',
            'bayer_gbrg8',
            'bayer_grbg8',
        ),
    ),
    ParameterSpec(
        'compressed',
        'string',
        '',
        "Publish image/compressed in this format in place of image; '' = publish image",
        choices=('', 'jpeg', 'png'),
    ),
    ParameterSpec('jpeg_quality', 'int', 80, 'JPEG quality with compressed: jpeg', '', 1, 100),
    ParameterSpec('loop', 'bool', True, 'Start again at the end of a video, folder or bag'),
    ParameterSpec(
        'stamps',
        'string',
        'now',
        "Header stamps: 'now' is the node's clock at publishing, 'source' the time in the bag or "
        'video',
        choices=('now', 'source'),
    ),
    ParameterSpec('frame_id', 'string', 'camera_optical_frame', 'Frame of the header'),
    ParameterSpec('seed', 'int', 0, 'Seed of the synthetic scenes', '', 0, 2**31 - 1),
    ParameterSpec(
        'publish_labels',
        'bool',
        True,
        'Publish the ground truth of the synthetic scenes as a label image',
    ),
    ParameterSpec(
        'topic', 'string', '', "Image topic to read from a bag; '' = the only image topic in it"
    ),
    ParameterSpec(
        'qos',
        'string',
        'reliable',
        'Reliability that the images are offered with',
        choices=('reliable', 'best_effort'),
    ),
    ParameterSpec(
        'horizontal_fov_deg',
        'float',
        70.0,
        'Horizontal field of view from which camera_info is computed',
        'deg',
        1.0,
        179.0,
    ),
)
