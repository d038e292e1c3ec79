"""Where market data come from: one file per exchange."""
