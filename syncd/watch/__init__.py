"""What is in the folders: events as hints, scans as the truth, and the wait until a file is quiet."""
