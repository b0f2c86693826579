"""Upload files to servers of two APIs: ``image`` and ``multipart`` implement the interface in ``base``."""
