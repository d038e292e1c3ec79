"""Every place that keeps accounts, sessions, keys and the audit log."""
