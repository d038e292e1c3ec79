"""What `make` runs: installing, starting and checking the fleet. Only rendering needs more than Python itself."""
