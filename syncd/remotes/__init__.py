"""Clients of the two upload APIs.

``base`` defines the interface, and the packages ``image`` and ``multipart`` implement it. ``http`` sends the requests.
"""
