"""How a person, a script or a page steers the running daemon: HTTP with JSON under ``/v1/``.

``service`` is the contract, ``api`` its routes, ``server`` the Unix socket they are reached by, ``client`` the other
end. This module stays empty so that the client costs no server.
"""
