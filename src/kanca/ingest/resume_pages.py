"""The pages that people see at resume addresses: what would be done, and what was.

They need no script and nothing from elsewhere, and show no more than the address itself says. Opening one changes
nothing: programs that look at every link in a message (mail scanners, chat previews) resume no run.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from functools import lru_cache
from html import escape

from kanca.domain.ids import RUN, show_id
from kanca.domain.resume_token import Decision, ResumeToken
from kanca.ingest.refusal import Refusal
from kanca.ingest.request import Said

Pair = tuple[bytes, bytes]

MAX_COMMENT = 2000
_STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem}"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem}dt{color:#555}"
    "dd{margin:0;overflow-wrap:anywhere}textarea{box-sizing:border-box;width:100%;font:inherit}"
    "button{font:inherit;padding:.5rem 1.5rem;margin-top:1rem}"
)
_WORDS = {
    None: ("Continue this run?", "A run of a workflow waits here. The button has it go on.", "Continue"),
    Decision.APPROVE: (
        "Approve?",
        "A run of a workflow waits for an answer. The button approves.",
        "Approve",
    ),
    Decision.REJECT: ("Reject?", "A run of a workflow waits for an answer. The button rejects.", "Reject"),
}
_COMMENT = (
    f'<p><label for="comment">Comment (optional)</label><br>'
    f'<textarea id="comment" name="comment" rows="4" maxlength="{MAX_COMMENT}"></textarea></p>'
)


def confirmation(token: ResumeToken, workflow_id: str | None) -> Said:
    """The page that asks before anything is done; ``workflow_id`` is None where the run is not known yet."""
    title, sentence, button = _WORDS[None if token.decision is None else Decision(token.decision)]
    address = token.address
    facts = [("Node", address.node_id), ("Run", show_id(RUN, address.run_id))]
    if workflow_id is not None:
        facts.insert(0, ("Workflow", workflow_id))
    if address.iteration:
        facts.append(("Item", str(address.iteration)))
    facts.append(("Possible until", f"{token.expires_at:%Y-%m-%d %H:%M} UTC"))
    listed = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in facts)
    comment = "" if token.decision is None else _COMMENT
    form = f'<form method="post">{comment}<button type="submit">{button}</button></form>'
    return as_page(_page(title, f"<p>{sentence}</p><dl>{listed}</dl>{form}"))


def done() -> bytes:
    """The page after the button, where nobody was faster."""
    return _page("Done", "<p>Your answer was taken. This page can be closed.</p>")


def answered_before() -> bytes:
    """The page after the button, where the address had been used before, by whomever."""
    return _page("This was already answered", "<p>It can be answered once. Nothing was changed.</p>")


def refused(refusal: Refusal) -> Said:
    """The page for what was refused."""
    status, title, detail, _ = refusal.rule
    return as_page(_page(title, f"<p>{escape(refusal.detail or detail)}</p>"), status)


def as_page(body: bytes, status: int = 200) -> Said:
    """The page with the headers that all of them have."""
    return Said(status, (*_headers(), (b"content-length", b"%d" % len(body))), body)


def _page(title: str, content: str) -> bytes:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{content}</main></body></html>\n"
    ).encode()


@lru_cache(maxsize=1)
def _headers() -> tuple[Pair, ...]:
    style = b64encode(hashlib.sha256(_STYLE.encode()).digest())
    return (
        (b"content-type", b"text/html; charset=utf-8"),
        (
            b"content-security-policy",
            b"default-src 'none'; style-src 'sha256-%b'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
            % style,
        ),
        # The address is the proof: it goes to no other site, and stays in no cache.
        (b"referrer-policy", b"no-referrer"),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"x-frame-options", b"DENY"),
        (b"x-robots-tag", b"noindex, nofollow"),
    )
