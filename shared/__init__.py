"""The library every service of the fleet stands on; import its modules by name (`from shared.config import config`)."""
