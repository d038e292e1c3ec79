"""A market to which scenarios may do something: moves, thin books, spoofed orders, washed trades."""
