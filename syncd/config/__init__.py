"""Configuration: the YAML file, read, checked and turned into frozen values.

:mod:`syncd.config.load` loads the whole configuration. :mod:`syncd.config.discovery` only finds the control socket, for
clients that must not wait for pydantic. This module is empty so that either can be imported without the other.
"""
