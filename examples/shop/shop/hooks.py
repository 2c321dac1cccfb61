"""The shop's handlers. Run them with ``kanca serve --app shop.hooks:hooks``."""

from __future__ import annotations

from typing import Any

from kanca import Event, Kanca
from shop.backoffice import post, post_sync
from shop.models import OrderCompleted, OrderCreated, PaymentReceived, ShipmentDispatched

hooks = Kanca()


@hooks.on("order.created", model=OrderCreated, max_retries=8, timeout=10)
async def order_created(event: Event[OrderCreated]) -> dict[str, Any]:
    """Reserve what was ordered."""
    order = event.data
    items = [{"product": item.product, "quantity": item.quantity} for item in order.items]
    reserved = await post("/reservations", {"order_id": order.order_id, "items": items}, event.call_id)
    return {"order_id": order.order_id, "reservation": reserved["number"]}


@hooks.on("order.completed", model=OrderCompleted, max_retries=8, timeout=10)
async def order_completed(event: Event[OrderCompleted]) -> dict[str, Any]:
    """Send the invoice."""
    invoice = await post("/invoices", event.data.model_dump(), event.call_id)
    return {"order_id": event.data.order_id, "invoice": invoice["number"]}


@hooks.on("payment.received", model=PaymentReceived, max_retries=8, timeout=10, order_by="order_id")
def payment_received(event: Event[PaymentReceived]) -> dict[str, Any]:
    """Book the payment. Sync, so it runs in a thread; the payments of one order are booked one after the other."""
    payment = event.data
    booked = post_sync("/bookings", payment.model_dump(mode="json"), event.call_id)
    return {"payment_id": payment.payment_id, "booking": booked["number"]}


@hooks.on("shipment.dispatched", model=ShipmentDispatched, max_retries=8, timeout=10)
async def shipment_dispatched(event: Event[ShipmentDispatched]) -> dict[str, Any]:
    """Tell the customer where the parcel is."""
    sent = await post("/notifications", event.data.model_dump(), event.call_id)
    return {"order_id": event.data.order_id, "notification": sent["number"]}
