from kanca.handlers.event import Headers


def test_headers_are_found_in_any_case() -> None:
    headers = Headers([("Content-Type", "application/json")])
    assert headers["content-type"] == headers["CONTENT-TYPE"] == "application/json"
    assert "Content-type" in headers
    assert "x-other" not in headers


def test_values_of_a_repeated_header_are_joined() -> None:
    assert dict(Headers([("X-A", "1"), ("x-a", "2")])) == {"x-a": "1, 2"}


def test_no_headers_are_none() -> None:
    assert len(Headers()) == 0
    assert list(Headers()) == []
