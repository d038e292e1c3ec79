"""The dashboard: one page for people, and what that page asks of the fleet."""
