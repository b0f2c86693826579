"""systemd: notifications, unit files, installation and the sandbox of a unit."""
