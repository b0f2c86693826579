"""Helpers that tests of several packages share: waiting for a condition, and test data."""
