"""ROS 2 nodes: parameters, messages, lifecycle; wiring only."""
