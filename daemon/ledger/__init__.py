"""What must survive: photos, Jobs, history, in SQLite."""
