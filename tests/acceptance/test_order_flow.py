"""``examples/orders`` does what its README says, on a real server: every way that an order can go."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

from kanca.cli.main import app
from orders.services import TOKEN, Services
from tests.acceptance.processes import ADMIN_KEY, ROOT, SOURCES, Client, KancaProcess, eventually
from tests.servers.postgres import PostgresServer

EXAMPLE = ROOT / "examples" / "orders"
SERVICES_URL = "http://127.0.0.1:9200"
CHECKOUT_SECRET, PAYMENT_SECRET = "whsec_checkout_0123456789", "whsec_payment_0123456789"
QUICK = "quick"
"""Ahead of the names of a second copy, whose payments are not waited for as long."""

pytestmark = pytest.mark.usefixtures("applied")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    """On which database."""
    return str(request.param)


@pytest.fixture(scope="module")
def services(kind: str) -> Iterator[Services]:
    """The example's own stub, one for each server."""
    assert kind
    with Services(0) as services:
        thread = threading.Thread(target=services.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield services
        services.shutdown()
        thread.join()


def url_of(services: Services) -> str:
    return f"http://127.0.0.1:{services.server_port}"


@pytest.fixture(scope="module")
def server(
    kind: str, services: Services, postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KancaProcess]:
    """``kanca serve``, as the README starts it."""
    directory = tmp_path_factory.mktemp("orders")
    url = f"sqlite:///{directory / 'kanca.db'}" if kind == "sqlite" else postgres.create_database("orders")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    environ = {
        "KANCA_EGRESS_ALLOW": "127.0.0.1",
        "KANCA_PUBLIC_URL": address,
        "ORDERS_SERVICES_URL": url_of(services),
        "PYTHONPATH": f"{SOURCES}{os.pathsep}{EXAMPLE}",
    }
    kanca = KancaProcess(url, directory, app="orders.hooks:hooks", environ=environ)
    kanca.url = address
    with kanca:
        yield kanca
    postgres.drop_database("orders")


class Shop:
    """The command line, for one order."""

    def __init__(self, server: KancaProcess, order: str = "", prefix: str = "") -> None:
        self._server = server
        self.order, self.prefix = order, prefix

    def kanca(self, *words: str, given: str | None = None) -> str:
        """What a command prints. It must work."""
        environ = {
            "KANCA_URL": self._server.url,
            "KANCA_ADMIN_KEY": ADMIN_KEY,
            "WAREHOUSE_TOKEN": TOKEN,
            "CHECKOUT_SECRET": CHECKOUT_SECRET,
            "PAYMENT_SECRET": PAYMENT_SECRET,
            "COLUMNS": "200",
        }
        result = CliRunner().invoke(app, list(words), input=given, env=environ, prog_name="kanca")
        assert result.exit_code == 0, result.output
        return result.stdout

    def send(self, sample: str, slug: str, secret: str, **changes: Any) -> None:
        """Sign one of the samples for this order, and send it."""
        text = (EXAMPLE / "samples" / f"{sample}.json").read_text()
        event = json.loads(text.replace("4711", f"{self.prefix}{self.order}"))
        event["data"]["object"].update(changes)
        address = f"{self._server.url}/webhooks/{self.prefix}{slug}"
        said = self.kanca(
            "send",
            "stripe",
            "--to",
            address,
            "--secret",
            secret,
            "--data",
            "-",
            "--json",
            given=json.dumps(event),
        )
        assert '"accepted"' in said

    def checkout(self, **changes: Any) -> None:
        self.send("checkout", "orders", CHECKOUT_SECRET, **changes)

    def pay(self) -> None:
        self.send("payment", "order-payments", PAYMENT_SECRET)

    @property
    def name(self) -> str:
        return f"ORD-{self.prefix}{self.order}"


@pytest.fixture(scope="module")
def applied(server: KancaProcess, services: Services) -> None:
    """The example's file is applied, and again with other names and less patience."""
    shop = Shop(server)
    text = (EXAMPLE / "hooks.yaml").read_text().replace(SERVICES_URL, url_of(services))
    text = text.replace("initial_delay: 1", "initial_delay: 0.1")
    quick = text.replace("id: orders", f"id: {QUICK}orders").replace("slug: order", f"slug: {QUICK}order")
    assert "5 done." in shop.kanca("apply", "-f", "-", given=text)
    assert "4 done." in shop.kanca("apply", "-f", "-", given=quick.replace("timeout: 259200", "timeout: 1"))


async def run_of(client: Client, shop: Shop, *statuses: str) -> dict[str, Any]:
    """The run of an order, once it has one of these statuses."""

    async def look() -> dict[str, Any] | None:
        listed = await client.ask("GET", f"/api/runs?workflow_id={shop.prefix}orders&limit=100")
        for item in listed["items"]:
            run: dict[str, Any] = await client.ask("GET", f"/api/runs/{item['id']}")
            outputs = {step["node_id"]: step["output"] for step in run["steps"]}
            if (outputs.get("order") or {}).get("id") == shop.name:
                return run if run["status"] in statuses else None
        return None

    found: dict[str, Any] = await eventually(look, f"the run of {shop.name} is {statuses}")
    return found


def way(run: dict[str, Any]) -> dict[str, str]:
    """By which port each node was left that ran."""
    return {step["node_id"]: step["port"] for step in run["steps"] if step["status"] != "skipped"}


def requests(services: Services, shop: Shop) -> list[tuple[str, int]]:
    """What the services were asked for the order, and what they answered; each step by one name."""
    asked = services.of(shop.name)
    names = {(each.path, each.key) for each in asked}
    assert len(names) == len({path for path, _ in names}), "a repeated request changed its key"
    return [(each.path, each.status) for each in asked]


async def answer(client: Client, services: Services, shop: Shop, decision: str) -> None:
    """Decide, by the address that was given out."""

    async def is_asked() -> list[Any]:
        return services.of(shop.name, "/approvals")

    (asked,) = await eventually(is_asked, "somebody is asked")
    path = urlsplit(asked.body[f"{decision}_url"]).path
    assert (await client.ask("POST", path, {"comment": "by Ada"}))["status"] == "accepted"


async def parcel(services: Services, shop: Shop) -> dict[str, Any]:
    """What the carrier was told by the handler of the published event."""

    async def is_told() -> list[Any]:
        return services.of(shop.name, "/parcels")

    (told,) = await eventually(is_told, "the carrier is told")
    return dict(told.body)


async def cancelled(client: Client, shop: Shop) -> list[str]:
    """For which reasons it was published that the order is cancelled."""
    events = await client.events(event_type="order.cancelled")
    said = [event["payload"]["data"] for event in events]
    return [each["reason"] for each in said if each["order"] == shop.name]


RESERVED = [("/reservations", 503), ("/reservations", 503), ("/reservations", 200)]
TO_THE_PARCEL = {"reserve": "out", "paid": "out", "label": "out", "shipped": "out"}
STRAIGHT = {"checkout": "out", "order": "out", "is-big": "false"}
LOOKED_AT = {"checkout": "out", "order": "out", "is-big": "true"}


async def test_a_small_order_goes_straight_to_the_parcel(
    server: KancaProcess, services: Services, client: Client
) -> None:
    shop = Shop(server, "1001")
    shop.checkout()
    waiting = await run_of(client, shop, "waiting")
    assert way(waiting) == STRAIGHT | {"reserve": "out"}
    shop.pay()
    run = await run_of(client, shop, "succeeded")
    assert way(run) == STRAIGHT | TO_THE_PARCEL
    told = await parcel(services, shop)
    assert requests(services, shop) == [*RESERVED, ("/labels", 200), ("/parcels", 200)]
    outputs = {step["node_id"]: step["output"] for step in run["steps"]}
    assert told == {"order": shop.name, **outputs["reserve"], **outputs["label"]}

    shown = shop.kanca("run", "show", run["id"])
    assert "succeeded" in shown
    assert all(node in shown for node in TO_THE_PARCEL)
    drawing = shop.kanca("run", "draw", run["id"])
    assert drawing.startswith("flowchart")
    assert "look" in drawing


async def test_a_payment_that_comes_first_is_kept_for_its_order(
    server: KancaProcess, services: Services, client: Client
) -> None:
    shop = Shop(server, "1002")
    shop.pay()
    shop.checkout()
    assert way(await run_of(client, shop, "succeeded")) == STRAIGHT | TO_THE_PARCEL
    await parcel(services, shop)


async def test_a_big_order_goes_on_when_it_is_approved(
    server: KancaProcess, services: Services, client: Client
) -> None:
    shop = Shop(server, "1003")
    shop.checkout(amount_total=99_900)
    await answer(client, services, shop, "approve")
    shop.pay()
    run = await run_of(client, shop, "succeeded")
    assert way(run) == LOOKED_AT | {"look": "approved"} | TO_THE_PARCEL
    await parcel(services, shop)
    expected = [("/approvals", 200), *RESERVED, ("/labels", 200), ("/parcels", 200)]
    assert requests(services, shop) == expected


async def test_a_big_order_that_is_rejected_is_cancelled(
    server: KancaProcess, services: Services, client: Client
) -> None:
    shop = Shop(server, "1004")
    shop.checkout(amount_total=99_900)
    await answer(client, services, shop, "reject")
    run = await run_of(client, shop, "succeeded")
    assert way(run) == LOOKED_AT | {"look": "rejected", "refused": "out"}
    assert requests(services, shop) == [("/approvals", 200)]
    assert await cancelled(client, shop) == ["refused"]


async def test_an_order_that_nobody_pays_is_released(
    server: KancaProcess, services: Services, client: Client
) -> None:
    shop = Shop(server, "1005", QUICK)
    shop.checkout()
    run = await run_of(client, shop, "succeeded")
    expected = {"reserve": "out", "paid": "timeout", "release": "out", "unpaid": "out"}
    assert way(run) == STRAIGHT | expected
    assert requests(services, shop) == [*RESERVED, ("/releases", 200)]
    assert await cancelled(client, shop) == ["unpaid"]


async def test_an_order_without_a_label_goes_on_by_the_error_port(
    server: KancaProcess, services: Services, client: Client
) -> None:
    shop = Shop(server, "1006")
    shop.checkout(customer_details={"email": ""})
    shop.pay()
    run = await run_of(client, shop, "succeeded")
    expected = {"label": "error", "by-hand": "out"}
    assert way(run) == STRAIGHT | TO_THE_PARCEL | expected
    assert (await parcel(services, shop))["label"] == "by hand"
    assert ("/labels", 422) in requests(services, shop)


async def test_a_warehouse_that_is_closed_makes_a_dead_letter_that_can_be_retried(
    server: KancaProcess, services: Services, client: Client
) -> None:
    shop = Shop(server, "1007")
    services.closed.add("/reservations")
    shop.checkout()
    run = await run_of(client, shop, "failed")
    assert requests(services, shop) == [("/reservations", 503)] * 4
    (letter,) = json.loads(shop.kanca("dlq", "list", "--work", "workflow:orders", "--json"))["items"]
    assert letter["code"] == "http_status"

    services.closed.clear()
    shop.pay()
    shop.kanca("dlq", "retry", letter["id"])
    again = await run_of(client, shop, "succeeded")
    assert again["id"] == run["id"]
    await parcel(services, shop)
    expected = [("/reservations", 503)] * 4 + RESERVED + [("/labels", 200), ("/parcels", 200)]
    assert requests(services, shop) == expected


def test_applying_the_file_again_changes_nothing(
    server: KancaProcess, services: Services, tmp_path: Path
) -> None:
    text = (EXAMPLE / "hooks.yaml").read_text().replace(SERVICES_URL, url_of(services))
    file = tmp_path / "hooks.yaml"
    file.write_text(text.replace("initial_delay: 1", "initial_delay: 0.1"))
    assert "Everything is as the manifest says." in Shop(server).kanca("apply", "-f", str(file))
