"""What drains the queue: jobs are claimed from the store, run, and their end is written back.

:mod:`~syncd.engine.scheduler` has a lane for each remote; a lane (:mod:`~syncd.engine.lane`) decides when a job may run
and what becomes of it; :mod:`~syncd.engine.upload` runs one job from claim to confirmation.
"""
