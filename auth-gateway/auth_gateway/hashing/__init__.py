"""How passwords are hashed, and which everybody tries first."""
