"""The receiver: a server that speaks both upload APIs and stores what it is sent in a folder.

`serve` runs it, `app` puts it together, `image` and `multipart` are the two APIs, `storage` is the disk.
It shares no code with the client side, so that a mistake in one can't be hidden by the same in the other.
"""
