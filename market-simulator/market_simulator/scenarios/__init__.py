"""Lies on request. One file per place where they bite; the rest of simulator.md's menu belongs beside them."""
