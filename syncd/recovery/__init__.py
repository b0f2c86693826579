"""``syncd verify``, ``restore`` and ``backup``.

They compare or download uploaded files, and copy the job store.
"""
