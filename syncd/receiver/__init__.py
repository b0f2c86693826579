"""Serve both upload APIs, and store the uploads in a folder.

`serve` runs the receiver, `app` assembles it, `middleware` and `hosts` decide which requests to accept, `image` and
`multipart` implement the two APIs. On disk, `storage` keeps the unfinished uploads, `finished` the complete files, and
`space` limits the total size. The receiver shares no code with the upload clients, so both cannot have the same bug.
"""
