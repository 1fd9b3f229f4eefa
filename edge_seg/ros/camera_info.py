"""The CameraInfo of an ideal pinhole camera (REP 104)."""

import math

from edge_seg.core.values import Size
from sensor_msgs.msg import CameraInfo


def pinhole_info(published: Size, *, original: Size, horizontal_fov_deg: float) -> CameraInfo:
    """Compute the intrinsics of a lens without distortion that looks at the image's centre.

    Args:
        published: size of the image as it is published.
        original: size before it was stretched to that; its pixels are square.
        horizontal_fov_deg: angle between the left and the right edge of the image.
    """
    focal = 0.5 * original.width / math.tan(0.5 * math.radians(horizontal_fov_deg))
    focal_x = focal * published.width / original.width
    focal_y = focal * published.height / original.height
    centre_x, centre_y = 0.5 * published.width, 0.5 * published.height
    # The setters take floats only, and lists of exactly these lengths.
    return CameraInfo(
        width=published.width,
        height=published.height,
        distortion_model='plumb_bob',
        d=[0.0] * 5,
        k=[focal_x, 0.0, centre_x, 0.0, focal_y, centre_y, 0.0, 0.0, 1.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[focal_x, 0.0, centre_x, 0.0, 0.0, focal_y, centre_y, 0.0, 0.0, 0.0, 1.0, 0.0],
    )
