"""database-service, port 5020: `python app.py`."""

from gevent import monkey

monkey.patch_all()

from database_service.service import build
from shared.service import run

service = build()
app = service.app

if __name__ == "__main__":
    run(service)
