"""``syncd verify`` and ``syncd restore``: compare or download what the remotes store, without the daemon."""
