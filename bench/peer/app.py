"""The same service on a common Python stack: FastAPI, uvicorn, motor, redis and PyJWT, one process for each role. It has only what is
measured: GET, list and creation of servers with token, validation, port claim and quota, and a call that one role forwards to another. As
in the program, rate limits are off and the access log is on.
   app.py ROLE PORT [URL of rdp-server-manager]      MONGODB_URL, REDIS_URL and JWT_SECRET from the environment"""
import os
import sys
import uuid
from datetime import datetime, timezone
from typing import Optional

import httpx
import jwt
import uvicorn
from fastapi import Depends, FastAPI, Header, HTTPException, Query, Request, Response
from motor.motor_asyncio import AsyncIOMotorClient
from pydantic import BaseModel, ConfigDict, Field
from pymongo.errors import DuplicateKeyError
from redis import asyncio as redis_async

ROLE, PORT = sys.argv[1], int(sys.argv[2])
MANAGER = sys.argv[3] if len(sys.argv) > 3 else None
FIRST_PORT, LAST_PORT = 33000, 60000

app = FastAPI(title=ROLE)
mongo = AsyncIOMotorClient(os.environ["MONGODB_URL"], maxPoolSize=50)
db = mongo.get_default_database()
cache = redis_async.from_url(os.environ["REDIS_URL"])
http = httpx.AsyncClient(base_url=MANAGER) if MANAGER else None


class Display(BaseModel):
    width: int = Field(1920, ge=320, le=8192)
    height: int = Field(1080, ge=200, le=8192)
    color_depth: int = 24


class NewServer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1, max_length=64)
    description: str = Field("", max_length=1000)
    display: Display = Display()
    restart_policy: str = "on-failure"
    auto_start: bool = True
    tags: list[str] = []
    metadata: dict[str, str] = {}


class Server(NewServer):
    model_config = ConfigDict(extra="ignore")
    server_id: str
    user_id: str
    node: str
    host: str
    port: int
    status: str
    status_reason: Optional[str] = None
    version: int
    created_at: datetime
    updated_at: datetime


class Page(BaseModel):
    servers: list[Server]
    pagination: dict


def caller(authorization: str = Header("")):
    try:
        claims = jwt.decode(authorization.removeprefix("Bearer "), os.environ["JWT_SECRET"], algorithms=["HS256"], leeway=30)
    except jwt.PyJWTError as e:
        raise HTTPException(401, "the token is no good") from e
    return claims


def visible(claims):
    return {} if "admin" in claims.get("roles", []) else {"user_id": claims["sub"]}


@app.get("/health")
async def health():
    return {"status": "healthy", "service": ROLE}


if ROLE == "rdp-server-manager":
    @app.get("/api/v1/rdp/servers/{server_id}", response_model=Server)
    async def get(server_id: uuid.UUID, claims=Depends(caller)):
        doc = await db.rdp_servers.find_one({"_id": str(server_id), **visible(claims)})
        if not doc:
            raise HTTPException(404, "there is no such server")
        return doc

    @app.get("/api/v1/rdp/servers", response_model=Page)
    async def listed(page: int = Query(1, ge=1), limit: int = Query(20, ge=1, le=100), claims=Depends(caller)):
        where = visible(claims)
        total = await db.rdp_servers.count_documents(where)
        docs = await db.rdp_servers.find(where).sort("_id", 1).skip((page - 1) * limit).limit(limit).to_list(limit)
        return {"servers": docs, "pagination": {"page": page, "limit": limit, "total": total, "pages": -(-total // limit)}}

    async def claim_port(server_id):
        while True:
            port = FIRST_PORT + await cache.incr("next_port") % (LAST_PORT - FIRST_PORT)
            try:
                await db.rdp_ports.insert_one({"_id": f"node:{port}", "server_id": server_id})
                return port
            except DuplicateKeyError:
                continue

    @app.post("/api/v1/rdp/servers", response_model=Server, status_code=201)
    async def create(body: NewServer, claims=Depends(caller)):
        server_id, now = str(uuid.uuid4()), datetime.now(timezone.utc)
        if await db.rdp_servers.count_documents({"user_id": claims["sub"]}) >= 100000:
            raise HTTPException(429, "too many servers")
        try:
            await db.rdp_names.insert_one({"_id": f"{claims['sub']}:{body.name}", "server_id": server_id})
        except DuplicateKeyError as e:
            raise HTTPException(409, "there is one of this name") from e
        doc = {"_id": server_id, "server_id": server_id, "user_id": claims["sub"], "node": "node", "host": "host", "status": "stopped",
               "version": 1, "created_at": now, "updated_at": now, **body.model_dump(), "port": await claim_port(server_id)}
        await db.rdp_servers.insert_one(doc)
        return doc
else:
    @app.get("/api/v1/rdp/{path:path}")
    async def onward(path: str, request: Request):
        """What another role answers, asked of this one."""
        answer = await http.get(f"/api/v1/rdp/{path}", params=request.query_params, headers={"Authorization": request.headers["authorization"]})
        return Response(answer.content, answer.status_code, media_type="application/json")

uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="info")
