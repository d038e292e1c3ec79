#!/bin/sh
# The fleet in containers on this machine: deploy/deploy.sh --help. The logic is tools/deploy.py's.
set -e
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
command -v "$python" >/dev/null || { echo "Python 3.11 or newer is needed, and $python is not on PATH." >&2; exit 1; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name it: PYTHON=/path/to/python3.11" >&2; exit 1; }
exec "$python" -m tools.deploy "$@"
