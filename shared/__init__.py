"""The library every service of the fleet stands on. Import the modules by name, e.g. `from shared.config import config`."""
