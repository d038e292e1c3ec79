"""auth-gateway's figures, beside nginx and a usual gateway in Python."""
