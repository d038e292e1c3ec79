"""One file per place where things are stored; all of them pass tests/stores/test_store_contract.py."""
