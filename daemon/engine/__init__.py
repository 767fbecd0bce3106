"""What does the work: the Engine, its worker process and the messages between them."""
