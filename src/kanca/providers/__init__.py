"""Who sends, and how it signs: declarative specs of providers, and the few schemes behind them.

Once per endpoint, ``compile_verifier(get_provider("stripe"))``, ``compile_extractor(…)`` and ``compile_handshakes(…)``;
for every request ``verifier.verify(request, secrets, now)``, which answers ``Verified``, ``Refusal`` or ``KeyNeeded``,
and then ``extractor.extract(headers, document, verified.signed_id)`` for its event type and delivery id.
"""

from kanca.providers.catalogue import Catalogue, get_provider, provider_names
from kanca.providers.extraction import Extracted, Extractor, compile_extractor
from kanca.providers.handshakes import HandshakeReply, Handshakes, compile_handshakes
from kanca.providers.options import Option, configure, options_of
from kanca.providers.provider_secrets import check_secret, generate_secret
from kanca.providers.schemes.draft import Draft
from kanca.providers.schemes.issued import Issued
from kanca.providers.signing import Delivery, issue, make_delivery, sign
from kanca.providers.spec import ProviderSpec, RequiredAnswer, parse_spec
from kanca.providers.verdict import KeyNeeded, Refusal, RefusalCode, SignedRequest, Verdict, Verified
from kanca.providers.verification import Verifier, compile_verifier

__all__ = [
    "Catalogue",
    "Delivery",
    "Draft",
    "Extracted",
    "Extractor",
    "HandshakeReply",
    "Handshakes",
    "Issued",
    "KeyNeeded",
    "Option",
    "ProviderSpec",
    "Refusal",
    "RefusalCode",
    "RequiredAnswer",
    "SignedRequest",
    "Verdict",
    "Verified",
    "Verifier",
    "check_secret",
    "compile_extractor",
    "compile_handshakes",
    "compile_verifier",
    "configure",
    "generate_secret",
    "get_provider",
    "issue",
    "make_delivery",
    "options_of",
    "parse_spec",
    "provider_names",
    "sign",
]
