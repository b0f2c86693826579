"""Uploads files: claims jobs from the store, runs them, and records their results.

:mod:`~syncd.upload.scheduler` has one worker per remote. A worker (:mod:`~syncd.upload.worker`) decides when a job may
run; :mod:`~syncd.upload.upload` runs one attempt of one job, and :mod:`~syncd.upload.transfer` sends its content.
"""
