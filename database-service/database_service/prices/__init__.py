"""Places that know prices."""
