"""The dashboard's own door: the control API and the page over loopback TCP, for a browser on this machine.

The page is a client of :mod:`syncd.control`; here is who gets in, and the files of the page.
"""
