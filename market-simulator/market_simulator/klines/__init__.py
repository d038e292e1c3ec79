"""Bars of trades: how they are made, kept in tables and written."""
