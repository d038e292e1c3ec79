"""database-service: signals, performance and settings of the fleet, stored so that a success survives a crash."""
