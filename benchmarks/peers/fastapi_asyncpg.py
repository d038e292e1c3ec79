"""FastAPI with asyncpg, a commit per request, on uvicorn with uvloop and httptools: `fastapi_asyncpg.py PORT URL`."""

# mypy: ignore-errors
# Its packages live in an environment of their own (requirements.txt), which the check doesn't see.

import json
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import asyncpg
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, Field

TABLE = """
CREATE TABLE IF NOT EXISTS asyncpg_signals (id bigserial PRIMARY KEY, signal_id text UNIQUE, symbol text,
    signal_type text, confidence float8, price float8, document text);
CREATE INDEX IF NOT EXISTS asyncpg_by_symbol ON asyncpg_signals (symbol)
"""
INSERT = """
INSERT INTO asyncpg_signals (signal_id, symbol, signal_type, confidence, price, document) VALUES ($1,$2,$3,$4,$5,$6)
"""


class Signal(BaseModel):
    """What a client sends."""

    symbol: Annotated[str, Field(max_length=32)]
    signal_type: str
    confidence: Annotated[float, Field(ge=0, le=1)]
    price: Annotated[float, Field(gt=0)]
    stop_loss: float | None = None
    strategy: str | None = None
    bot_id: str | None = None
    metadata: dict[str, int] | None = None


def make(url: str) -> FastAPI:
    """The app on this database."""

    @asynccontextmanager
    async def pool_of(app: FastAPI) -> AsyncIterator[None]:
        async with asyncpg.create_pool(url, max_size=20) as pool:
            await pool.execute(TABLE)
            app.state.pool = pool
            yield

    app = FastAPI(lifespan=pool_of)

    @app.post("/signals/save")
    async def save(signal: Signal) -> dict[str, str | bool]:
        signal_id, document = uuid.uuid4().hex, json.dumps(signal.model_dump())
        row = (signal_id, signal.symbol, signal.signal_type, signal.confidence, signal.price, document)
        async with app.state.pool.acquire() as connection:
            await connection.execute(INSERT, *row)
        return {"success": True, "signal_id": signal_id}

    return app


if __name__ == "__main__":
    uvicorn.run(
        make(sys.argv[2]), host="127.0.0.1", port=int(sys.argv[1]), loop="uvloop", http="httptools",
        access_log=False, log_level="warning",
    )  # fmt: skip
