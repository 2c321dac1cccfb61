"""How somebody describes a provider of their own: the part of ``docs/providers/README.md`` that is no list."""

from __future__ import annotations

OWN_PROVIDER = """\
## A provider of your own

Whoever is not in the list needs no code either. Where a sender has one HMAC over the body and maybe a time, the
provider [`hmac`](hmac.md) and a few options do. Everything else is a spec: the same form that the providers above are
written in. `kanca provider show NAME --json` gives the spec of any of them, to begin with.

```toml
name = "acme"
title = "Acme"
summary = "Orders of the Acme shop."
event_type = ["{header:X-Acme-Event}", "{body:type}"]    # the first of which every part is there
delivery_id = ["{body:id}"]

[[signatures]]
scheme = "hmac"                                          # token, hash, ed25519, ecdsa, rsa, …
header = "X-Acme-Signature"                              # or body = "a.b", or query = "sig"
form = "v1={signature}"
signed_content = "{timestamp}.{body}"
timestamp = { header = "X-Acme-Time", unit = "s", max_age_seconds = 300 }

[secret]
where = "Acme → Settings → Webhooks"

[[handshakes]]
name = "challenge"
when = { "{body:type}" = "challenge" }
reply = { text = "{body:challenge}" }

[[samples]]
event_type = "order.paid"
body = '{"id": "{delivery_id}", "type": "{event_type}", "at": {timestamp}}'
```

There are two places for it.

- **For the whole server**, in `kanca.toml` as `[providers.acme]`, with `[[providers.acme.signatures]]` and so on; the
  name is said by the table. `KANCA_PROVIDERS` has the same as JSON. A server does not start with a spec that is not
  valid, and says where the mistake is.
- **For one endpoint**, as `provider_spec` in its config: `kanca endpoint create --spec acme.toml`. It is checked when
  it is saved, and changed like any other key (`kanca endpoint update wh_… --spec acme.toml`).

A name that comes with Kanca cannot be taken. Where the settings no longer have a provider, its endpoints answer 503 and
say so in their `hint`; nothing is taken unverified.

Try it before it is used:

```sh
kanca provider verify acme --spec acme.toml --secret 'SECRET' --headers FILE --body FILE
kanca send acme --spec acme.toml --to http://127.0.0.1:8000/webhooks/acme --secret 'SECRET'
```
"""
