"""Two npm packages that verify for many providers, those without a package of their own among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kanca.providers import Draft
from tests.providers.senders.exchange import ask_node

# The package is made for Nuxt: its configuration comes from a module that only a Nuxt application has.
_NUXT = """
    const { registerHooks } = await import("node:module");
    const configuration = `export const useRuntimeConfig = () => (${JSON.stringify({ webhook: question.config })})`;
    registerHooks({
      resolve: (name, context, next) =>
        name === "#imports"
          ? { url: "data:text/javascript," + encodeURIComponent(configuration), shortCircuit: true }
          : next(name, context),
    });
    const { mockEvent } = await import("h3");
    const folder = "./node_modules/nuxt-webhook-validators/dist/runtime/server/lib/validators";
    const validators = await import(`${folder}/${question.validator}.js`);
    const [validate] = Object.values(validators);
    return Promise.all(
      question.requests.map(({ url, method, headers, body }) => validate(mockEvent(url, { method, headers, body }))),
    );
"""
_TERN = """
    const { WebhookVerificationService: service } = await import("@hookflo/tern");
    return Promise.all(
      question.requests.map(async ({ url, method, headers, body }) => {
        const request = new Request(url, { method, headers, body });
        return (await service.verifyWithPlatformConfig(request, question.platform, question.secret)).isValid;
      }),
    );
"""


def nuxt_accepts(validator: str, config: Mapping[str, Any], requests: Sequence[Draft]) -> list[bool]:
    """What nuxt-webhook-validators says of each request; ``config`` holds the provider's secrets, as in Nuxt."""
    question = {
        "validator": validator,
        "config": {validator.partition(".")[0]: config},
        "requests": _as_json(requests),
    }
    answer: list[bool] = ask_node(_NUXT, question)
    return answer


def tern_accepts(platform: str, secret: str, requests: Sequence[Draft]) -> list[bool]:
    """What @hookflo/tern says of each request."""
    question = {"platform": platform, "secret": secret, "requests": _as_json(requests)}
    answer: list[bool] = ask_node(_TERN, question)
    return answer


def _as_json(requests: Sequence[Draft]) -> list[dict[str, Any]]:
    return [
        {
            "url": request.url,
            "method": request.method,
            "headers": request.headers,
            "body": request.body.decode(),
        }
        for request in requests
    ]
