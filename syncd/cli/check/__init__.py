"""``syncd check``: tests the configuration, this machine and the remotes."""
