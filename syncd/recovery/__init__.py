"""Verify and restore: compare or fetch what the remotes store, without the daemon."""
