"""What the machine gives a daemon beside files and sockets: one instance a state folder, and a service manager."""
