"""The usual stack: Flask, SQLAlchemy, a commit per request, on werkzeug's threaded server.

`flask_sqlalchemy.py PORT URL`. Versions: those of the development lock file.
"""

import json
import sqlite3
import sys
import uuid

import sqlalchemy as sa
from flask import Flask, Response, jsonify, request
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from werkzeug.serving import WSGIRequestHandler, run_simple


class Base(DeclarativeBase):
    """The tables."""


class Signal(Base):
    """One signal."""

    __tablename__ = "signals"
    id: Mapped[int] = mapped_column(primary_key=True)
    signal_id: Mapped[str] = mapped_column(unique=True)
    symbol: Mapped[str] = mapped_column(index=True)
    signal_type: Mapped[str]
    confidence: Mapped[float]
    price: Mapped[float]
    document: Mapped[str]


def make(url: str) -> Flask:
    """The app on this database."""
    url = url.replace("postgresql://", "postgresql+psycopg2://")
    engine = sa.create_engine(url, pool_size=20, max_overflow=0)
    if url.startswith("sqlite"):

        @sa.event.listens_for(engine, "connect")
        def _furnish(connection: sqlite3.Connection, _: object) -> None:
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000"):
                connection.execute(f"PRAGMA {pragma}")

    Base.metadata.create_all(engine)
    app = Flask("peer")

    @app.post("/signals/save")
    def save() -> Response:
        body = request.get_json()
        names = ("symbol", "signal_type", "confidence", "price")
        signal = Signal(signal_id=uuid.uuid4().hex, document=json.dumps(body), **{name: body[name] for name in names})
        with Session(engine) as session:
            session.add(signal)
            session.commit()
            return jsonify(success=True, signal_id=signal.signal_id)

    return app


class Quiet(WSGIRequestHandler):
    """Keep-alive, no log."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: object) -> None:  # werkzeug's signature
        """Nothing."""


if __name__ == "__main__":
    run_simple("127.0.0.1", int(sys.argv[1]), make(sys.argv[2]), threaded=True, request_handler=Quiet)
