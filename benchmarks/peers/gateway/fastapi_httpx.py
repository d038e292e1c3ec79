"""The usual gateway in Python: FastAPI, PyJWT, httpx with a pool of kept connections, on uvicorn with uvloop and
httptools, answers streamed: `fastapi_httpx.py PORT NAME=URL SECRET`."""

# mypy: ignore-errors
# Its packages live in an environment of their own (requirements.lock), which the check doesn't see.

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import jwt
import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import StreamingResponse
from starlette.background import BackgroundTask

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
NOT_PASSED = {"connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer", "host", "authorization"}
CLAIMS = ["iss", "aud", "sub", "exp"]


def make(urls: dict[str, str], secret: str) -> FastAPI:
    """The app in front of these services, for tokens signed with this secret."""

    @asynccontextmanager
    async def client_of(app: FastAPI) -> AsyncIterator[None]:
        async with httpx.AsyncClient(timeout=30, limits=httpx.Limits(max_keepalive_connections=64)) as client:
            app.state.client = client
            yield

    app = FastAPI(lifespan=client_of)

    @app.api_route("/api/{service}/{path:path}", methods=METHODS)
    async def forward(service: str, path: str, request: Request) -> StreamingResponse:
        if service not in urls:
            raise HTTPException(404)
        who = judge(request.headers.get("authorization", ""), secret)
        url = httpx.URL(f"{urls[service]}/{path}", query=request.url.query.encode())
        headers = [(name, value) for name, value in request.headers.items() if name not in NOT_PASSED]
        headers += [("x-forwarded-for", request.client.host), ("x-user", who["sub"])]
        client = app.state.client
        asked = client.build_request(request.method, url, headers=headers, content=await request.body())
        try:
            answer = await client.send(asked, stream=True)
        except httpx.HTTPError:
            raise HTTPException(503) from None
        kept = {name: value for name, value in answer.headers.items() if name not in NOT_PASSED}
        return StreamingResponse(answer.aiter_raw(), answer.status_code, kept, background=BackgroundTask(answer.aclose))

    return app


def judge(authorization: str, secret: str) -> dict[str, str]:
    """Whose token it is."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise HTTPException(401)
    try:
        return jwt.decode(
            token, secret, ["HS256"], audience="trading-fleet", issuer="trading-fleet", options={"require": CLAIMS}
        )
    except jwt.InvalidTokenError:
        raise HTTPException(401) from None


if __name__ == "__main__":
    name_, _, url_ = sys.argv[2].partition("=")
    uvicorn.run(
        make({name_: url_}, sys.argv[3]), host="127.0.0.1", port=int(sys.argv[1]), loop="uvloop", http="httptools",
        access_log=False, log_level="warning",
    )  # fmt: skip
