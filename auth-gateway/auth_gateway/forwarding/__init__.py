"""How requests reach the services behind the gateway."""
