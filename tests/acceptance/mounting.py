"""Somebody's own FastAPI app, with Kanca mounted in it."""

from __future__ import annotations

from fastapi import FastAPI

from tests.acceptance.app import hooks

app = FastAPI(lifespan=hooks.lifespan)


@app.get("/")
async def home() -> dict[str, str]:
    """The app's own page."""
    return {"app": "somebody's own"}


app.mount("/hooks", hooks.asgi)
