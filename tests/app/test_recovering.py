"""What works on the database itself, when no server lets anybody in or none can start."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kanca.app.recovering import Unreadable, forget_unreadable, make_admin_key
from kanca.domain.api_key import Role, digest_of
from kanca.domain.credential import read_credential
from kanca.domain.endpoint import RECEIVE_WEBHOOK_ID, Secret
from kanca.errors import InvalidSetting, Unavailable
from kanca.settings import Settings
from kanca.storage import api_keys, audit, credentials, endpoints, sealed_secrets, subscriptions
from kanca.storage.ports import Database
from kanca.storage.sealed_secrets import Owner, Place, Sealed
from kanca.storage.secret_box import SecretBox
from tests.factories import new_endpoint, new_subscription

LOST, NEW = "the key that was lost", "the key of today"
LOST_BOX, NEW_BOX = SecretBox([LOST]), SecretBox([NEW])
NOW = datetime(2026, 1, 2, tzinfo=UTC)
SECRETS = (Secret("0123456789"),)
NOTHING = Unreadable(0, (), (), ())


def settings_of(url: str) -> Settings:
    return Settings.model_validate({"database_url": url, "secret_key": NEW})


async def test_an_admin_key_comes_out_of_the_database(database: Database, database_url: str) -> None:
    made = await make_admin_key(settings_of(database_url), "on call", None, NOW)

    known = await database.read(api_keys.read_known, None)
    assert known is not None
    key = known.by_digest[digest_of(made.key)]
    assert (key.role, key.tenant, key.created_by, key.name) == (Role.ADMIN, None, "recovery", "on call")


async def test_a_schema_of_another_version_is_left_alone(empty_database_url: str) -> None:
    with pytest.raises(Unavailable, match="kanca migrate"):
        await make_admin_key(settings_of(empty_database_url), "on call", None, NOW)


async def test_only_what_cannot_be_read_is_forgotten(database: Database, database_url: str) -> None:
    write = database.write
    lost = await write(endpoints.create, LOST_BOX, new_endpoint(secrets=SECRETS))
    kept = await write(endpoints.create, NEW_BOX, new_endpoint(secrets=SECRETS))
    lost_subscription = await write(subscriptions.create, LOST_BOX, new_subscription(secrets=SECRETS))
    for box, name in ((LOST_BOX, "lost"), (NEW_BOX, "kept")):
        await write(credentials.put, box, read_credential(name, "bearer", {"token": "t"}), NOW)
    built_in = Sealed(Place(Owner.ENDPOINT, 1), RECEIVE_WEBHOOK_ID, b"")
    await write(sealed_secrets.replace, [sealed_secrets.Anew(built_in, LOST_BOX.seal(b"[]"))])
    with pytest.raises(InvalidSetting):
        await write(sealed_secrets.check_keys, NEW_BOX)
    settings = settings_of(database_url)
    expected = Unreadable(4, (lost.webhook_id,), (lost_subscription.id,), ("lost",))

    assert await forget_unreadable(settings, NOW, is_real=False) == expected
    assert await forget_unreadable(settings, NOW, is_real=False) == expected
    assert await forget_unreadable(settings, NOW, is_real=True) == expected
    assert await forget_unreadable(settings, NOW, is_real=True) == NOTHING

    await write(sealed_secrets.check_keys, NEW_BOX)
    read = database.read
    without = await read(endpoints.by_webhook_id, NEW_BOX, lost.webhook_id)
    with_secrets = await read(endpoints.by_webhook_id, NEW_BOX, kept.webhook_id)
    assert without is not None
    assert with_secrets is not None
    assert (without.secrets, with_secrets.secrets) == ((), SECRETS)
    page = await read(credentials.page)
    assert [credential.name for credential in page.items] == ["kept"]
    entries = (await read(audit.page)).items
    assert {(each.action, each.subject_id, each.tenant) for each in entries} == {
        ("endpoint.secret_forgotten", RECEIVE_WEBHOOK_ID, "default"),
        ("endpoint.secret_forgotten", lost.webhook_id, lost.tenant),
        ("subscription.secret_forgotten", lost_subscription.id, lost_subscription.tenant),
        ("credential.secret_forgotten", "lost", None),
    }
    assert {(str(each.actor), str(each.before), str(each.after)) for each in entries} == {
        ("system recovery", "{'secrets': '[redacted]'}", "{'secrets': []}")
    }


async def test_what_has_changed_meanwhile_is_not_forgotten(database: Database) -> None:
    endpoint = await database.write(endpoints.create, LOST_BOX, new_endpoint(secrets=SECRETS))
    await database.write(credentials.put, LOST_BOX, read_credential("shop", "bearer", {"token": "t"}), NOW)
    values, _ = await database.read(sealed_secrets.read, sealed_secrets.BEGINNING, 10)
    await database.write(endpoints.change, LOST_BOX, endpoint.webhook_id, lambda each: each)
    await database.write(credentials.put, NEW_BOX, read_credential("shop", "bearer", {"token": "new"}), NOW)

    assert await database.write(sealed_secrets.forget, values) == 0
    assert (await database.read(credentials.get, NEW_BOX, "shop")).values["token"] == "new"
