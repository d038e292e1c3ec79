"""auth-gateway: who somebody is, what they may do, and the one door to the fleet."""
