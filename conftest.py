"""The one conftest at the top: every test, from the root or from a service's folder, gets the same fixtures."""

pytest_plugins = ["shared.testing.pytest_plugin"]
