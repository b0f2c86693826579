"""What wires the rooms together; the only place that knows them all.

:mod:`~syncd.daemon.rooms` opens store, engine and watches for a configuration; :mod:`~syncd.daemon.service` is the
running daemon around them, :mod:`~syncd.daemon.once` a single pass; :mod:`~syncd.daemon.steering` answers the control
API.
"""
