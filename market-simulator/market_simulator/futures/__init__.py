"""What perpetuals have besides trades and a book: mark price, funding, open interest, liquidations, figures."""
