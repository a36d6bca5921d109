"""Closed months of audit_logs and spend_logs, moved out of the database into an object store."""
