"""The packages on a Debian that systemd has booted: `make test-systemd`, as root. Needs the servers of apt and pip."""
