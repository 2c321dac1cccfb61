from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.errors import InvalidSetting
from kanca.settings import Settings, load_settings
from kanca.storage.secret_box import SecretBox, load_secret_box


def _settings(path: Path, **values: str) -> Settings:
    return load_settings({}, database_url=f"sqlite:///{path / 'kanca.db'}", **values)


@given(st.binary(max_size=200))
def test_what_is_sealed_can_be_opened_and_not_be_seen(value: bytes) -> None:
    box = SecretBox(["0123456789abcdef"])
    sealed = box.seal(value)
    assert box.open(sealed) == value
    assert len(value) < 4 or value not in sealed


def test_the_first_key_encrypts_and_all_decrypt() -> None:
    old, new = SecretBox(["old-old-old-old-old"]), SecretBox(["new-new-new-new-new"])
    both = SecretBox(["new-new-new-new-new", "old-old-old-old-old"])
    assert both.open(old.seal(b"x")) == b"x"
    assert new.open(both.seal(b"x")) == b"x"
    with pytest.raises(InvalidSetting, match="KANCA_SECRET_KEY"):
        old.open(both.seal(b"x"))


def test_a_changed_byte_is_refused() -> None:
    box = SecretBox(["0123456789abcdef"])
    sealed = bytearray(box.seal(b"secret"))
    sealed[20] ^= 1
    with pytest.raises(InvalidSetting):
        box.open(bytes(sealed))


def test_keys_for_another_purpose_follow_from_the_keys_and_the_purpose() -> None:
    newest, older = "a-key-of-sixteen-or-more", "another-key-of-sixteen"
    derived = SecretBox([newest, older]).derived("tokens")
    assert derived == (*SecretBox([newest]).derived("tokens"), *SecretBox([older]).derived("tokens"))
    assert [len(key) for key in derived] == [32, 32]
    assert not set(derived) & set(SecretBox([newest, older]).derived("other tokens"))
    assert newest not in repr(SecretBox([newest]))


def test_keys_come_from_the_setting(tmp_path: Path) -> None:
    box = load_secret_box(_settings(tmp_path, secret_key="new-new-new-new-new, old-old-old-old-old"))
    assert SecretBox(["new-new-new-new-new"]).open(box.seal(b"x")) == b"x"
    assert box.open(SecretBox(["old-old-old-old-old"]).seal(b"x")) == b"x"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("keys", ["short", "long-enough-to-be-a-key,short"])
def test_a_key_that_can_be_guessed_is_refused(tmp_path: Path, keys: str) -> None:
    with pytest.raises(InvalidSetting, match=r"KANCA_SECRET_KEY: .* 16 characters"):
        load_secret_box(_settings(tmp_path, secret_key=keys))
    (tmp_path / "kanca.key").write_text(keys.replace(",", "\n"))
    with pytest.raises(InvalidSetting, match=r"kanca\.key: .* 16 characters"):
        load_secret_box(_settings(tmp_path))


@pytest.mark.parametrize("keys", ["", " , "])
def test_a_setting_without_a_key_is_refused(tmp_path: Path, keys: str) -> None:
    with pytest.raises(InvalidSetting, match="KANCA_SECRET_KEY holds no key"):
        load_secret_box(_settings(tmp_path, secret_key=keys))


def test_a_key_file_holds_a_key_on_each_line_the_newest_first(tmp_path: Path) -> None:
    old, new = "old-old-old-old-old", "new-new-new-new-new"
    (tmp_path / "kanca.key").write_text(f"{new}\n\n  {old}  \n")
    box = load_secret_box(_settings(tmp_path))
    assert SecretBox([new]).open(box.seal(b"x")) == b"x"
    assert box.open(SecretBox([old]).seal(b"x")) == b"x"


def test_it_tells_what_is_under_the_first_key(tmp_path: Path) -> None:
    old, new = SecretBox(["old-old-old-old-old"]), SecretBox(["new-new-new-new-new"])
    both = SecretBox(["new-new-new-new-new", "old-old-old-old-old"])
    assert both.is_current(new.seal(b"x"))
    assert not both.is_current(old.seal(b"x"))
    with pytest.raises(InvalidSetting):
        new.is_current(old.seal(b"x"))


def test_what_cannot_be_opened_names_the_file_that_lacks_the_key(tmp_path: Path) -> None:
    sealed = SecretBox(["old-old-old-old-old"]).seal(b"x")
    with pytest.raises(InvalidSetting, match=r"kanca\.key does not have the key"):
        load_secret_box(_settings(tmp_path)).open(sealed)


def test_without_a_setting_a_file_beside_the_database_holds_the_key(tmp_path: Path) -> None:
    sealed = load_secret_box(_settings(tmp_path)).seal(b"x")
    [file] = tmp_path.iterdir()
    assert file.name == "kanca.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert load_secret_box(_settings(tmp_path)).open(sealed) == b"x"


def test_processes_that_start_at_once_get_the_same_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        boxes = list(threads.map(load_secret_box, [_settings(tmp_path)] * 16))
    sealed = boxes[0].seal(b"x")
    assert all(box.open(sealed) == b"x" for box in boxes)
    assert [path.name for path in tmp_path.iterdir()] == ["kanca.key"]


def test_an_empty_key_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kanca.key").write_text("\n")
    with pytest.raises(InvalidSetting, match="no key"):
        load_secret_box(_settings(tmp_path))


def test_a_key_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kanca.key").write_bytes(b"\xff\xfe" * 20)
    with pytest.raises(InvalidSetting, match="something else"):
        load_secret_box(_settings(tmp_path))


def test_a_folder_that_does_not_exist_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="No such file"):
        load_secret_box(_settings(tmp_path / "nowhere"))


def test_a_database_on_a_server_needs_the_setting() -> None:
    with pytest.raises(InvalidSetting, match="must be set"):
        load_secret_box(load_settings({}, database_url="postgresql://localhost/kanca"))
