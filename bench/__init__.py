"""Speed and memory of syncd beside the tools that people would use instead. ``make bench`` runs it."""
