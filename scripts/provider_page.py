"""The page of a provider, made of its spec and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping

from kanca.providers import ProviderSpec, issue, make_delivery, options_of
from kanca.providers.description import (
    LABELS,
    changes_of,
    contents_of,
    place_of,
    signature_in_words,
    span,
    time_in_words,
)
from kanca.providers.handshake_spec import Handshake
from kanca.providers.schemes.none import Unsigned
from kanca.providers.template import Slot
from scripts.markdown import bullets, code, row

_NOW = 1_767_268_800.0
_ID = "0b6f4a3e9c5d4f1e8a7b6c5d4e3f2a1b"
_RECALLED = " *(from memory)*"


def provider_page(spec: ProviderSpec) -> str:
    """All that somebody needs who wants to be sent webhooks from there."""
    sections = {
        "Set up": _set_up(spec),
        "Try it": _try(spec),
        "What is checked": _checked(spec),
        "Handshakes": _handshakes(spec),
        "Answers and retries": _answers(spec),
        "Variants": _variants(spec),
        "Options": _options(spec),
        "To know": bullets(spec.notes),
        "A sample": _sample(spec),
    }
    docs = f" [Its documentation]({spec.docs_url})." if spec.docs_url else ""
    known = f"How it signs was {LABELS[spec.label]}: {spec.source}."
    if spec.label == "recalled":
        known = f"How it signs is {LABELS[spec.label]}. Try it before you rely on it."
    parts = [f"# {spec.title}", spec.summary, f"**{spec.label.capitalize()}.** {known}{docs}"]
    parts += [f"## {title}\n\n{text}" for title, text in sections.items() if text]
    return "\n\n".join(parts) + "\n"


def _set_up(spec: ProviderSpec) -> str:
    secret = spec.secret
    create = f"kanca endpoint create --provider {spec.name}"
    brings = any(each.store_secret for each in spec.handshakes)
    made = "makes the address that is called `{url}` here, and its id `wh_…`."
    setup = [step.replace("{url}", "`{url}`") for step in spec.setup]
    needs_secret = secret.is_issued and not brings
    entered = next((at for at, step in enumerate(setup) if "{url}" in step), len(setup))
    if needs_secret and any("secret" in step for step in setup[:entered]):
        # It is known before the address is entered, and the provider may call the address as soon as that is done.
        steps = [*setup[:entered], f"`{create} --secret '{_placeholder(spec)}'` {made}", *setup[entered:]]
        return _numbered(steps) + _where(spec)
    steps = [f"`{create}` {made}", *setup]
    if not (isinstance(spec.signatures[0], Unsigned) or secret.is_issued):
        steps[0] += " It shows the secret to enter there; one of your choice is given with `--secret`."
    if brings and not setup:
        steps.append("The secret comes by itself when the provider first calls the address.")
    elif needs_secret:
        example = f"kanca endpoint rotate-secret wh_… --secret '{_placeholder(spec)}'"
        steps.append(f"Give the endpoint the secret, from which on it takes webhooks: `{example}`.")
    return _numbered(steps) + _where(spec)


def _numbered(steps: list[str]) -> str:
    return "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))


def _where(spec: ProviderSpec) -> str:
    return f"\n\n**The secret:** {spec.secret.where}.{_form(spec)}" if spec.secret.where else ""


def _placeholder(spec: ProviderSpec) -> str:
    secret = spec.secret
    return ":".join(part.upper() for part in secret.parts) if secret.parts else f"{secret.prefix}…"


def _form(spec: ProviderSpec) -> str:
    secret = spec.secret
    facts = []
    if secret.parts and _placeholder(spec) not in secret.where:
        facts.append(f"is written `{_placeholder(spec)}`")
    if secret.prefix and secret.prefix_required:
        facts.append(f"begins with `{secret.prefix}`")
    if secret.key_encoding != "utf8":
        facts.append(f"is read as {secret.key_encoding}")
    return f" It {' and '.join(facts)}." if facts else ""


def _try(spec: ProviderSpec) -> str:
    issued = issue(spec)
    send = f"kanca send {spec.name} --to {{url}}"
    lines = ["kanca endpoint test wh_…"]
    if isinstance(spec.signatures[0], Unsigned):
        lines.append(send)
    elif issued.documents:
        lines.append(f"kanca send {spec.name} --endpoint wh_…")
    elif issued.is_shared:
        lines.append(f"{send} --secret '{_placeholder(spec)}'")
    else:
        lines += [
            f"kanca provider keypair {spec.name}   # the public key for a test endpoint, the private one for:",
            f"{send} --secret 'PRIVATE_KEY'",
        ]
    fetch = " --fetch" if issued.documents else ""
    verify = (
        f"kanca provider verify {spec.name} --secret '{_placeholder(spec)}' --headers FILE --body FILE{fetch}"
    )
    why = "Why is it refused? `kanca endpoint rejections wh_…` says so for what came; of what you have saved:"
    return f"{code('sh', lines)}\n\n{why}\n\n{code('sh', [verify])}"


def _checked(spec: ProviderSpec) -> str:
    facts = [("proof", " Or: ".join(signature_in_words(each) for each in spec.signatures))]
    if spec.signs and not isinstance(spec.signatures[0], Unsigned):
        if not covers_body(spec) and contents_of(spec.signatures[0]):
            facts.append(("body", "Not signed as a whole: only the fields above are proven."))
        facts.append(("time", time_in_words(spec.signatures[0])))
    facts += [
        ("replay", _replay(spec)),
        ("event type", _templates([*spec.event_type], f"`{spec.default_event_type}`")),
        ("delivery id", _templates([*spec.delivery_id], "")),
    ]
    return "\n".join(["| | |", "|---|---|", *(row(name, text) for name, text in facts)])


def _replay(spec: ProviderSpec) -> str:
    if not spec.signs or isinstance(spec.signatures[0], Unsigned):
        return "Nothing is signed: whoever has seen a delivery can send another."
    if not covers_body(spec) and not contents_of(spec.signatures[0]):
        return (
            "What is sent is not signed: whoever has seen a delivery can send another while its token lasts."
        )
    if not spec.delivery_id:
        return "There is no delivery id: every delivery is an event of its own."
    if spec.delivery_id_signed:
        return "The delivery id is signed: what comes again is known, and not done twice."
    return "The delivery id is not signed: what comes again with the same body is not done twice, whatever its id is."


def _templates(templates: list[str], otherwise: str) -> str:
    return ", else ".join(filter(None, [*(f"`{template}`" for template in templates), otherwise])) or "none"


def _handshakes(spec: ProviderSpec) -> str:
    if not spec.handshakes:
        return ""
    rows = [
        row(f"`{each.name}`", each.about, _asked(each), _proof(each), _reply(each))
        for each in spec.handshakes
    ]
    return "\n".join(
        [
            "Answered by themselves; none of them is an event.",
            "",
            "| | what for | request | proof | answer |",
            "|---|---|---|---|---|",
            *rows,
        ]
    )


def _asked(handshake: Handshake) -> str:
    conditions = [
        f"`{template}` is {'anything' if wanted == '*' else 'nothing' if not wanted else f'`{wanted}`'}"
        for template, wanted in handshake.when.items()
    ]
    conditions += [f"`{template}` fits `{pattern}`" for template, pattern in handshake.patterns.items()]
    return " and ".join([handshake.method, *conditions])


def _proof(handshake: Handshake) -> str:
    return {
        "signature": "signed like any webhook",
        "own_secret": "signed with the secret that it brings",
        "none": "none",
    }[handshake.proof]


def _reply(handshake: Handshake) -> str:
    reply = handshake.reply
    facts = [str(reply.status)]
    if reply.json:
        facts.append(f"`{json.dumps(reply.json, ensure_ascii=False)}`")
    elif reply.text:
        facts.append(f"`{reply.text}`")
    facts += [f"`{name}: {value}`" for name, value in reply.headers.items()]
    if handshake.visit:
        facts.append(f"after `{handshake.visit}` was called")
    if handshake.store_secret:
        facts.append("the secret is kept")
    return ", ".join(facts)


def _answers(spec: ProviderSpec) -> str:
    sender = spec.sender
    told: Mapping[str, str] = {
        "success": f"It takes for success: {sender.success}." if sender.success else "",
        "timeout_seconds": f"It waits {span(sender.timeout_seconds)}." if sender.timeout_seconds else "",
        "retries": f"It tries again: {sender.retries}." if sender.retries else "",
    }
    facts = [
        text + (_RECALLED if name in sender.recalled or spec.label == "recalled" else "")
        for name, text in told.items()
        if text
    ]
    if spec.answer is not None:
        body = f" with the body `{spec.answer.body}`" if spec.answer.body else " without a body"
        facts.insert(0, f"An accepted webhook is answered {spec.answer.status}{body}, which it insists on.")
        if spec.answer.refused_is_empty:
            facts.insert(1, "What is refused for want of proof is answered without a body.")
    return bullets(facts)


def _variants(spec: ProviderSpec) -> str:
    rows = []
    for name, variant in spec.variants.items():
        changes = changes_of(spec, variant)
        about = f"differs in {', '.join(f'`{key}`' for key in changes)}"
        proof = signature_in_words(variant.signatures[0]) if "signatures" in changes else "as above"
        rows.append(row(f"`{name}`", about, proof))
    if not rows:
        return ""
    example = f"--config 'provider_options={json.dumps({'variant': next(iter(spec.variants))})}'"
    text = (
        f"Other products, or other ways of signing. An endpoint has one: `kanca endpoint create … {example}`."
    )
    return "\n".join([text, "", "| variant | | proof |", "|---|---|---|", *rows])


def _options(spec: ProviderSpec) -> str:
    rows = [
        row(
            f"`{option.name}`",
            ", ".join(f"`{choice}`" for choice in option.choices) or option.type,
            "unset" if option.default is None else f"`{json.dumps(option.default)}`",
            option.description,
        )
        for option in options_of(spec)
    ]
    if not rows:
        return ""
    head = [
        "What an endpoint may set in `provider_options`.",
        "",
        "| key | kind | default | |",
        "|---|---|---|---|",
    ]
    return "\n".join([*head, *rows])


def _sample(spec: ProviderSpec) -> str:
    draft = make_delivery(
        spec,
        None,
        now=_NOW,
        url=f"https://hooks.example.com/webhooks/{spec.name}",
        delivery_id=f"{spec.delivery_id_prefix}{_ID}",
    ).draft
    place = place_of(spec.signatures[0])
    headers = dict(draft.headers)
    if place is not None and place.header:
        headers[place.header] = "…"
    path = draft.url.removeprefix("https://hooks.example.com")
    lines = [f"{draft.method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return code("http", [*lines, "", _pretty(draft.body)])


def _pretty(body: bytes) -> str:
    text = body.decode("utf-8", "replace").replace("\r\n", "\n").rstrip("\n")
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text


def covers_body(spec: ProviderSpec) -> bool:
    """Whether every way of signing covers the body as a whole."""
    return all(signature.covers(Slot("body", "")) for signature in spec.signatures)
