from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.errors import InvalidSecret
from kanca.providers import check_secret, generate_secret, get_provider, provider_names
from kanca.providers.secret_format import Alphabet, SecretFormat


@pytest.mark.parametrize("name", provider_names())
def test_a_generated_secret_is_one_of_the_provider_and_never_the_same(name: str) -> None:
    spec = get_provider(name)
    secret = generate_secret(spec)
    check_secret(spec, secret)
    assert secret != generate_secret(spec)


def test_secrets_have_the_prefixes_that_people_know_them_by() -> None:
    assert generate_secret(get_provider("generic")).startswith("wht_")
    assert len(generate_secret(get_provider("generic"))) == len("wht_") + 64
    assert generate_secret(get_provider("standardwebhooks")).startswith("whsec_")
    assert generate_secret(get_provider("stripe")).startswith("whsec_")


@pytest.mark.parametrize(
    ("name", "secret", "complaint"),
    [
        ("stripe", "sk_live_4eC39HqLyjWDarjtT1zdp7dc", "does not start with `whsec_`"),
        ("stripe", "whsec_MfKQ9r8GKYqrTwjU/D8ILPZIo2LaLaSw", "not letters, digits and _ after `whsec_`"),
        ("stripe", "whsec_abc", "has 3 characters after `whsec_`, not 8 to 512"),
        ("stripe", "", "does not start with"),
        ("stripe", " whsec_abcdefgh1234", "has blanks around it"),
        ("standardwebhooks", "whsec_not base64 at all, really", "not base64 after `whsec_`"),
        ("standardwebhooks", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo", "is not base64 after `whsec_`"),
        ("standardwebhooks", "whsec_MfKQ9r8GKYqr", "has 12 characters after `whsec_`, not 22 to 88"),
        ("github", "", "has 0 characters, not 6 to 512"),
        ("github", "pasted with a newline\n", "has blanks around it"),
        ("github", "nul\x00inside", "unprintable characters"),
        ("github", "x" * 513, "has 513 characters"),
        ("zendesk", "dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3Rpbmdfb25seQ==", "is one that the provider publishes"),
    ],
)
def test_a_secret_that_cannot_be_one_is_refused_with_the_reason(
    name: str, secret: str, complaint: str
) -> None:
    spec = get_provider(name)
    with pytest.raises(InvalidSecret) as caught:
        check_secret(spec, secret)
    assert complaint in caught.value.detail
    assert spec.title in caught.value.detail
    assert spec.secret.where in caught.value.detail
    assert not secret or secret not in caught.value.detail


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("stripe", "whsec_test_secret"),
        ("standardwebhooks", "whsec_plJ3nmyCDGBKInavdOK15jsl"),
        ("standardwebhooks", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("github", "It's a Secret to Everybody"),
        ("github", "größer als gedacht"),
        ("generic", "a token of one's own"),
    ],
)
def test_a_secret_that_can_be_one_is_taken(name: str, secret: str) -> None:
    check_secret(get_provider(name), secret)


def test_an_hmac_endpoint_checks_its_secret_by_its_options() -> None:
    spec = get_provider("hmac")
    check_secret(spec, "not hex", options={})
    with pytest.raises(InvalidSecret, match="hexadecimal"):
        check_secret(spec, "not hex", options={"key_encoding": "hex"})
    check_secret(spec, generate_secret(spec, {"key_encoding": "hex"}), options={"key_encoding": "hex"})


@given(st.text(st.characters(codec=None)))
def test_any_text_gives_a_key_or_none(secret: str) -> None:
    for encoding in ("utf8", "base64", "hex"):
        form = SecretFormat(prefix="whsec_", key_encoding=encoding)
        assert form.key(secret) != b""
        form.problem(secret)


def test_a_key_is_the_whole_text_or_what_the_rest_decodes_to() -> None:
    assert SecretFormat(prefix="whsec_").key("whsec_QUJD") == b"whsec_QUJD"
    assert SecretFormat(prefix="whsec_", key_encoding="base64").key("whsec_QUJD") == b"ABC"
    assert SecretFormat(prefix="whsec_", key_encoding="base64").key("QUI") == b"AB"
    assert SecretFormat(key_encoding="hex").key("414243") == b"ABC"
    assert SecretFormat(prefix="whsec_", key_encoding="base64").key("whsec_") is None


ALPHABETS: tuple[Alphabet, ...] = ("any", "word", "hex", "base64")


@given(st.integers(1, 200), st.integers(0, 200), st.sampled_from(ALPHABETS))
def test_a_generated_secret_fits_any_lengths(shortest: int, room: int, alphabet: Alphabet) -> None:
    form = SecretFormat(prefix="x_", min_length=shortest, max_length=shortest + room, alphabet=alphabet)
    assert form.problem(form.generate()) is None
