"""What is in the Root: Inboxes, Presets, complete photos."""
