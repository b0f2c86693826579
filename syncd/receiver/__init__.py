"""Serves both upload APIs, and stores the uploads in a folder.

`serve` runs the receiver, `app` assembles it, `middleware` and `hosts` decide which requests to accept, `image` and
`multipart` implement the two APIs. `storage` keeps the uploads of one API on disk, `stored_files` its complete files,
and `storage_limits` limits the size of both APIs together. `file_io` reads and writes their files. The receiver shares
no code with the upload clients, so both cannot have the same bug.
"""
