"""Plays typical uses of syncd from start to goal, and prints each step.

The output is what users would see.

Run it with ``python -m tests.journeys``. ``tests/journeys/test_journeys.py`` plays short versions.
"""
