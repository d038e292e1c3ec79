"""What tests of every service share: fakes, real servers on private ports, and the contract suite."""
