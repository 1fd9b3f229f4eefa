"""Pure image and label arithmetic: no threads, files, clock, logging or ROS."""
