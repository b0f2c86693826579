"""The memory of the daemon: files, jobs, upload sessions, contents and a history, in one SQLite file.

:mod:`~syncd.store.job_store` is the door. Behind it, :mod:`~syncd.store.database` runs units of work in two threads.
What a unit does stands in :mod:`~syncd.store.files` (files seen and gone), :mod:`~syncd.store.claims` (from claim to
result), :mod:`~syncd.store.uploads` (sessions and contents) and :mod:`~syncd.store.queries` (what a person asks and
orders). Every state change goes through :mod:`~syncd.store.transitions`.
"""
