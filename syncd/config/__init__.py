"""Configuration: the YAML file, read, checked and turned into frozen values.

`load` is the door for everybody who needs the whole (`syncd.config.load`), `light` the one for a client that only
has to find the control socket and can't wait for pydantic. This module stays empty so that either can be
imported without the other.
"""
