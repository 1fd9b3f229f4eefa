"""Where camera frames come from: rendered scenes, folders, videos, devices and bags."""
