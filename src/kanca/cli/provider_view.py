"""What a provider is like, as people read it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from kanca.cli.output import details

if TYPE_CHECKING:
    from rich.console import RenderableType


def provider_details(told: dict[str, Any]) -> RenderableType:
    """What the API tells of a provider: a line for each thing that there is to know."""
    from kanca.providers.description import LABELS

    is_own = told["origin"] == "own"
    rows = {
        "name": told["name"],
        "title": told["title"],
        "about": told["summary"],
        "comes from": "this server's settings" if is_own else "Kanca",
        "known from": "" if is_own else f"{told['source']} ({LABELS[told['label']]})",
        "docs": told["docs_url"],
        "set-up": _lines(told["setup"], numbered=True),
        "secret": _secret(told["secret"]),
        "proof": _lines(_proof(each) for each in told["signatures"]),
        "event type": ", else ".join([*told["event_type"], told["default_event_type"]]),
        "delivery id": _delivery_id(told),
        "handshakes": _lines(_handshake(each) for each in told["handshakes"]),
        "answer": _answer(told["answer"]),
        "sender": _sender(told["sender"]),
        "variants": _lines(_variant(each) for each in told["variants_in_detail"]),
        "options": _lines(_option(each) for each in told["options"]),
        "samples": ", ".join(told["sample_event_types"]),
        "notes": _lines(told["notes"]),
    }
    return details({name: text for name, text in rows.items() if text})


def _lines(texts: Iterable[str], *, numbered: bool = False) -> str:
    return "\n".join(f"{number}. {text}" if numbered else text for number, text in enumerate(texts, 1))


def _secret(secret: dict[str, Any]) -> str:
    facts = ["made by the provider only" if secret["is_issued"] else "your choice, or made by Kanca"]
    if secret["prefix"]:
        facts.append(f"begins with {secret['prefix']}")
    if secret["parts"]:
        facts.append("as " + ":".join(secret["parts"]))
    return _lines(filter(None, [secret["where"], ", ".join(facts)]))


def _proof(signature: dict[str, Any]) -> str:
    from kanca.providers.description import span

    at = signature["timestamp"]
    if at is None:
        return str(signature["in_words"])
    ages = f"{span(at['max_age_seconds'])} old, {span(at['max_ahead_seconds'])} ahead"
    return f"{signature['in_words']} Its time is signed: at most {ages}."


def _delivery_id(told: dict[str, Any]) -> str:
    if not told["delivery_id"]:
        return ""
    covered = "signed" if told["delivery_id_is_signed"] else "not signed"
    return f"{', else '.join(told['delivery_id'])} ({covered})"


def _handshake(handshake: dict[str, Any]) -> str:
    return f"{handshake['method']} {handshake['name']}: {handshake['about'] or 'answered by itself'}"


def _answer(answer: dict[str, Any] | None) -> str:
    if answer is None:
        return ""
    body = f", {answer['body']}" if answer["body"] else ", without a body"
    return f"{answer['status']}{body}"


def _sender(sender: dict[str, Any]) -> str:
    facts = {
        "success": f"takes for success: {sender['success']}",
        "timeout_seconds": f"waits {sender['timeout_seconds']:g} s" if sender["timeout_seconds"] else "",
        "retries": f"retries {sender['retries']}" if sender["retries"] else "",
    }
    return _lines(
        text + (" (from memory)" if name in sender["recalled"] else "")
        for name, text in facts.items()
        if text
    )


def _variant(variant: dict[str, Any]) -> str:
    return f"{variant['name']}: differs in {', '.join(variant['changes'])}"


def _option(option: dict[str, Any]) -> str:
    values = " | ".join(option["choices"]) or option["type"]
    return f"{option['name']} ({values}): {option['description']}"
