"""What drains the queue: jobs are claimed from the store, run, and their end is written back.

:mod:`~syncd.upload.scheduler` has a lane for each remote; a lane (:mod:`~syncd.upload.worker`) decides when a job may
run and what becomes of it; :mod:`~syncd.upload.upload` runs one job from claim to confirmation.
"""
