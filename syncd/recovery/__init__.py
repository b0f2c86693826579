"""``syncd verify`` and ``syncd restore``: compare or download uploaded files."""
