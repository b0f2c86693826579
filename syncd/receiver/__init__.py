"""The receiver: a server that speaks both upload APIs and stores what it is sent in a folder.

`serve` runs it, `app` puts it together, `gate` and `hosts` say who comes in, `image` and `multipart` are the two APIs.
On the disk, `storage` has the uploads under way, `finished` the whole files, and `space` says how much there may be.
It shares no code with the client side, so that a mistake in one can't be hidden by the same in the other.
"""
