"""What the user sees: the status view, plain lines, JSON lines."""
