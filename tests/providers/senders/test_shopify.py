"""Shopify's own package signs (with what it gives its users for their tests), and accepts."""

from __future__ import annotations

from kanca.providers import RefusalCode, Verified
from tests.providers.senders.exchange import arrives, ask_node, departs, refusal

SECRET = "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"
BODY = '{"id": 820982911946154508, "name": "#4711", "note": "Çay ☕"}'
VALIDATE = """
    await import("@shopify/shopify-api/adapters/web-api");
    const { shopifyApi, ApiVersion } = await import("@shopify/shopify-api");
    const shopify = shopifyApi({
      apiKey: "key", apiSecretKey: question.secret, hostName: "kanca.example", isEmbeddedApp: false,
      apiVersion: Object.values(ApiVersion)[0], logger: { log: () => {} },
    });
    const { url, headers, bodies } = question;
    return Promise.all(bodies.map((rawBody) => {
      const rawRequest = new Request(url, { method: "POST", headers, body: rawBody });
      return shopify.webhooks.validate({ rawBody, rawRequest });
    }));
"""


def test_what_the_shopify_package_signs_is_accepted() -> None:
    script = """
        const { getHmac } = await import("@shopify/shopify-api/test-helpers");
        return getHmac(question.body, question.secret);
    """
    signature = ask_node(script, {"body": BODY, "secret": SECRET})
    headers = {"X-Shopify-Topic": "orders/create", "X-Shopify-Hmac-Sha256": signature}
    assert arrives("shopify", headers, BODY.encode(), SECRET) == Verified(0)
    assert refusal(arrives("shopify", headers, b"{}", SECRET)) is RefusalCode.SIGNATURE_MISMATCH


def test_the_shopify_package_accepts_what_we_sign() -> None:
    sent = departs("shopify", SECRET, event_type="products/update", delivery_id="8f4c-1")
    body = sent.body.decode()
    question = {"secret": SECRET, "url": sent.url, "headers": sent.headers, "bodies": [body, body + " "]}
    taken, changed = ask_node(VALIDATE, question)
    assert (taken["valid"], taken["topic"], taken["webhookId"]) == (True, "PRODUCTS_UPDATE", "8f4c-1")
    assert changed == {"valid": False, "reason": "invalid_hmac"}
