"""Who sends, and how it signs: declarative specs of providers, and the few schemes behind them.

Once per endpoint, ``compile_verifier(get_provider("stripe"))`` and ``compile_extractor(…)``; for every request
``verifier.verify(request, secrets, now)``, which answers ``Verified`` or ``Refusal``, and then
``extractor.extract(headers, body, verified.signed_id)`` for its event type and delivery id.
"""

from kanca.providers.catalogue import get_provider, provider_names
from kanca.providers.extraction import Extracted, Extractor, compile_extractor
from kanca.providers.options import configure
from kanca.providers.provider_secrets import check_secret, generate_secret
from kanca.providers.samples import SampleDelivery, new_delivery_id, sample
from kanca.providers.signing import sign
from kanca.providers.spec import ProviderSpec, parse_spec
from kanca.providers.verdict import Refusal, RefusalCode, SignedRequest, Verdict, Verified
from kanca.providers.verification import Verifier, compile_verifier

__all__ = [
    "Extracted",
    "Extractor",
    "ProviderSpec",
    "Refusal",
    "RefusalCode",
    "SampleDelivery",
    "SignedRequest",
    "Verdict",
    "Verified",
    "Verifier",
    "check_secret",
    "compile_extractor",
    "compile_verifier",
    "configure",
    "generate_secret",
    "get_provider",
    "new_delivery_id",
    "parse_spec",
    "provider_names",
    "sample",
    "sign",
]
