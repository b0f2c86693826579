"""``syncd check``: test the configuration, the folders, this machine and the remotes."""
