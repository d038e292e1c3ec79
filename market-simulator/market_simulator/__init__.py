"""A market that a Binance client can not tell from the exchange, that lies only when told to."""
