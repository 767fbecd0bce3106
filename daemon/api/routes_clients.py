"""Routes about clients: let one in, pair, list and remove."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi import Path as InPath
from pydantic import BaseModel, Field

from daemon.api.auth import COOKIE, Asks, at_home
from daemon.api.context import Context
from daemon.api.errors import NO_JSON, NOT_AT_HOME
from daemon.api.schema import ErrorOut
from daemon.ledger.clients import INVITED_FOR, PairedClient

MOST = 100  # clients
REMEMBERED = 400 * 86_400  # seconds, the longest that browsers keep a cookie


class InviteIn(BaseModel):
    full: bool = Field(False, description="Whether the client may act on all Jobs, and pause the daemon.")


class InvitationOut(BaseModel):
    """``line``: what a client needs, in one word. ``seconds``: that it can be used, once."""

    line: str
    seconds: float


class PairIn(BaseModel):
    code: str = Field(min_length=1, max_length=100)
    name: str = Field(min_length=1, max_length=100, description="What the client calls itself.")
    cookie: bool = Field(False, description="For a browser: set the token as a cookie that no script can read.")


class ClientOut(BaseModel):
    """Times are Unix seconds."""

    id: int
    name: str
    full: bool
    paired_at: float
    seen_at: float


class PairedOut(BaseModel):
    """``token``: null if it is in a cookie."""

    client: ClientOut
    token: str | None


class MeOut(BaseModel):
    """``client``: null for the user at the daemon's machine."""

    client: ClientOut | None


class ClientsOut(BaseModel):
    """``listens``, ``url``: the address at which this daemon listens for them, and where they find it, if they can."""

    listens: str | None
    url: str | None
    clients: list[ClientOut]


def client_routes(context: Context) -> APIRouter:
    routes = APIRouter()

    @routes.post(
        "/v1/invitations",
        status_code=201,
        dependencies=[Depends(at_home)],
        responses={**NO_JSON, **NOT_AT_HOME, 409: {"model": ErrorOut, "description": "Nobody can reach this daemon."}},
    )
    def invite(wish: InviteIn) -> InvitationOut:
        """Let one client in."""
        outside = context.outside
        if outside is None:
            raise HTTPException(
                409, "Other machines cannot reach this daemon: start it with `stylefolder watch --listen ADDRESS:PORT`."
            )
        with context.ledger() as ledger:
            code = ledger.clients.invite(full=wish.full)
        secret = code if outside.pin is None else f"{outside.pin}.{code}"
        return InvitationOut(line=f"{outside.url}/#{secret}", seconds=INVITED_FOR)

    @routes.post(
        "/v1/clients",
        status_code=201,
        openapi_extra={"security": []},
        responses={
            **NO_JSON,
            404: {"model": ErrorOut, "description": "The code is wrong, used or too old."},
            409: {"model": ErrorOut, "description": "There are too many clients."},
        },
    )
    def pair(wish: PairIn, answer: Response) -> PairedOut:
        """Become a client. This needs no token, but the code of an invitation."""
        with context.ledger() as ledger:
            if len(ledger.clients.all()) >= MOST:
                raise HTTPException(409, "There are too many clients: remove one with `stylefolder clients remove`.")
            paired = ledger.clients.pair(wish.code, wish.name)
        if paired is None:
            raise HTTPException(
                404,
                "The line was used already, or is older than ten minutes, or was mistyped: run `stylefolder pair` "
                "again.",
            )
        client, token = paired
        if not wish.cookie:
            return PairedOut(client=_out(client), token=token)
        answer.set_cookie(COOKIE, token, REMEMBERED, secure=True, httponly=True, samesite="strict")
        return PairedOut(client=_out(client), token=None)

    @routes.get("/v1/me")
    def me(caller: Asks) -> MeOut:
        """Who is asking."""
        return MeOut(client=None if caller.client is None else _out(caller.client))

    @routes.get("/v1/clients", dependencies=[Depends(at_home)], responses=NOT_AT_HOME)
    def clients() -> ClientsOut:
        """Who has paired."""
        with context.reading() as ledger:
            known = ledger.clients.all()
        outside = context.outside
        listens, url = (None, None) if outside is None else (outside.address, outside.url)
        return ClientsOut(listens=listens, url=url, clients=[_out(client) for client in known])

    @routes.delete(
        "/v1/clients/{number}",
        responses={403: NOT_AT_HOME[403], 404: {"model": ErrorOut, "description": "There is no such client."}},
    )
    def remove(number: Annotated[int, InPath(ge=1, le=2**63 - 1)], request: Request, answer: Response) -> ClientOut:
        """Refuse a client's token from now on. A client can remove itself."""
        client = request.state.caller.client
        if client is not None and client.id != number:
            at_home(request)
        with context.ledger() as ledger:
            removed = ledger.clients.remove(number)
        if removed is None:
            raise HTTPException(404, f"There is no client {number}.")
        context.stream.cut_off(removed.id)
        if client is not None and COOKIE in request.cookies:
            answer.delete_cookie(COOKIE, secure=True, httponly=True, samesite="strict")
        return _out(removed)

    return routes


def _out(client: PairedClient) -> ClientOut:
    return ClientOut(**{name: getattr(client, name) for name in ClientOut.model_fields})
