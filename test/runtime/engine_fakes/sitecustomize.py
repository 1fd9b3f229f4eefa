"""Gives child processes of the tests a backend that builds engines without any SDK.

A folder with this file on PYTHONPATH is all it takes: Python imports it at every start.
"""

from edge_seg.backends import registry

registry._BACKENDS['scripted'] = 'scripted_builder:ScriptedBuilder'
