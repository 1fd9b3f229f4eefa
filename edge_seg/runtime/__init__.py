"""The frame flow and the model flow of one node, without ROS."""
