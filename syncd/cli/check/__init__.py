"""``syncd check``: tests the configuration, the folders, this machine and the remotes."""
