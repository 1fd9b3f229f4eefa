"""The policies of the lifecycle manager, without ROS."""
