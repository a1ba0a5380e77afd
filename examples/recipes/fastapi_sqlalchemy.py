"""
FastAPI and SQLAlchemy's asyncio: what was answered with 202 is in a file, then in the database.

    uvicorn fastapi_sqlalchemy:app

One server process, as containers have it; with several, each needs a file of its own.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import Column, Integer, MetaData, String, Table
from sqlalchemy.dialects.sqlite import insert  # PostgreSQL's is the same
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.ext.asyncio import create_async_engine

from partitioned_buffer import AsyncQueue, Retry
from partitioned_buffer.storage import SQLite

engine = create_async_engine(os.environ.get("DATABASE", "sqlite+aiosqlite:///shop.db"))
metadata = MetaData()
id_, what = Column("id", Integer, primary_key=True), Column("what", String, nullable=False)
table = Table("orders", metadata, id_, what)


class Order(BaseModel):
    """What clients send. The id is theirs, so that nothing is there twice."""

    id: int
    what: str


async def insert_orders(batch: list[dict[str, object]]) -> None:
    """One transaction per batch, with a connection that nobody else has."""
    async with engine.begin() as connection:
        await connection.execute(insert(table).on_conflict_do_nothing(), batch)


orders: AsyncQueue[dict[str, object]] = AsyncQueue(
    "orders", insert_orders, partitions=2, processing_batch_size=500, processing_interval=0.5,
    retry=Retry(never=(IntegrityError, DataError)),  # waiting does not mend a row
    storage=SQLite(os.environ.get("BUFFER", "orders-buffer.db")),
)  # fmt: skip


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Begin with the tables; end with the connections, when all has been delivered."""
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    async with orders:
        yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


@app.post("/orders", status_code=202)
async def accept(order: Order) -> None:
    """Accept an order: it survives the process when this returns."""
    await orders.push(order.model_dump())
