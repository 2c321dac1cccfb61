"""What the shop's events say. Data that do not fit are dead letters at once, with the reasons."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, model_validator

EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,63}")
"""What HTML forms take for an address, with a dot in the domain. Only a mail that arrives proves more."""


def _email(text: str) -> str:
    if not EMAIL.fullmatch(text):
        raise ValueError("this is no e-mail address")
    return text


OrderId = Annotated[str, Field(pattern=r"^ORD-[0-9]{8}\z")]
Email = Annotated[str, Field(max_length=254), AfterValidator(_email)]
Money = Annotated[Decimal, Field(gt=0, max_digits=12, decimal_places=2)]
Currency = Literal["USD", "EUR", "TRY"]


class Item(BaseModel):
    """A line of an order."""

    product: str = Field(min_length=1, max_length=200)
    quantity: int = Field(ge=1, le=10_000)
    price: Money
    """Of one piece."""


class OrderCreated(BaseModel):
    """``order.created``: somebody wants something."""

    order_id: OrderId
    email: Email
    total: Money
    currency: Currency
    items: list[Item] = Field(min_length=1)

    @model_validator(mode="after")
    def _total_is_the_sum(self) -> Self:
        items = sum((item.price * item.quantity for item in self.items), Decimal(0))
        if items != self.total:
            raise ValueError(f"the total is {self.total}, but the items make {items}")
        return self


class OrderCompleted(BaseModel):
    """``order.completed``: paid and delivered."""

    order_id: OrderId
    email: Email


class PaymentReceived(BaseModel):
    """``payment.received``: money came in."""

    payment_id: str = Field(min_length=1, max_length=64)
    order_id: OrderId
    amount: Money
    currency: Currency


class ShipmentDispatched(BaseModel):
    """``shipment.dispatched``: a parcel is on its way."""

    order_id: OrderId
    carrier: str = Field(min_length=1, max_length=100)
    tracking_number: str = Field(min_length=1, max_length=100)
