"""Plays what people use syncd for, from nothing to the goal, and prints each step as they would see it.

Run it with ``python -m tests.journeys``. ``tests/journeys/test_journeys.py`` plays short versions.
"""
