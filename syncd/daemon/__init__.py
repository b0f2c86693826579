"""What wires the rooms together; the only place that knows them all.

:mod:`~syncd.daemon.runtime` opens store, engine and watches for a configuration; :mod:`~syncd.daemon.daemon` is the
running daemon around them, :mod:`~syncd.daemon.once` a single pass; :mod:`~syncd.daemon.control_service` answers the
control API.
"""
