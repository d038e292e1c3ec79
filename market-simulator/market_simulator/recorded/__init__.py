"""A market as it was recorded: the tape, its trades and books, lap after lap."""
