"""What is kept outside the process, or over a restart: one file per place."""
