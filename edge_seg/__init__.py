"""Semantic segmentation of camera images on ROS 2, with models swapped while it runs."""

__version__ = '0.1.0'
