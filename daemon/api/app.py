"""The local API: a FastAPI application over the Ledger, which is all that it shares with the loop that runs the
Jobs."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI

from daemon.api.context import Context
from daemon.api.errors import ANY_ROUTE, document_security, errors_in_one_shape
from daemon.api.leases import Leases
from daemon.api.routes_clients import client_routes
from daemon.api.routes_jobs import job_routes
from daemon.api.routes_page import page_routes
from daemon.api.routes_recipes import recipe_routes
from daemon.api.routes_status import status_routes
from daemon.api.status import VERSION


def create_app(context: Context) -> FastAPI:
    """The application, without ``Auth``."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        context.stream.attach()
        try:
            yield
        finally:
            context.stream.detach()

    app = FastAPI(
        title="Stylefolder", version=VERSION, docs_url=None, redoc_url=None, responses=ANY_ROUTE, lifespan=lifespan
    )
    routers = (
        status_routes(context),
        job_routes(context, Leases(context.cancel)),
        client_routes(context),
        recipe_routes(context),
        page_routes(context),
    )
    for router in routers:
        app.include_router(router)
    errors_in_one_shape(app, [route for router in routers for route in router.routes], context.layout.root)
    document_security(app)
    return app
