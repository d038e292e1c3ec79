"""auth-gateway, port 5022: `python app.py`."""

from gevent import monkey

monkey.patch_all()

from auth_gateway.service import build
from shared.service import run

service = build()
app = service.app

if __name__ == "__main__":
    run(service)
