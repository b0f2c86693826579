"""The job store: files, jobs, upload sessions, contents and history in one SQLite file.

:mod:`~syncd.store.job_store` is the interface for the rest of syncd; it runs functions of the other modules in the two
threads of :mod:`~syncd.store.database`. These functions record files (:mod:`~syncd.store.files`), claims and results
(:mod:`~syncd.store.claims`), sessions and contents (:mod:`~syncd.store.uploads`), answer queries
(:mod:`~syncd.store.queries`, :mod:`~syncd.store.pages`) and carry out the user's retries and cancellations
(:mod:`~syncd.store.user_actions`). Every change of a job's state goes through :mod:`~syncd.store.transitions`. Values
are defined in :mod:`~syncd.store.records`.
"""
