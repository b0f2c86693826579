"""``syncd ctl``: ask and steer the running daemon over its control socket."""
