"""``syncd service``: install, remove and show the systemd or Windows service."""
