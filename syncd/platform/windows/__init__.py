"""Windows: files, service control manager, service installation and job objects."""
