"""The hall that every service shares: how requests come in, how answers and errors go out. Flask lives here."""
