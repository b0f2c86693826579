"""The client side of the upload services, one module a service, behind one protocol (:mod:`syncd.remotes.base`)."""
