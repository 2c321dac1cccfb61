from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, select, update

from kanca.app.ended_secrets import KEPT_AFTER_END, EndedSecrets
from kanca.domain.credential import read_credential
from kanca.domain.endpoint import RECEIVE_WEBHOOK_ID, Endpoint, Secret
from kanca.domain.subscription import Subscription
from kanca.errors import InvalidSetting
from kanca.storage import credentials, endpoints, sealed_secrets, subscriptions
from kanca.storage.ports import Database
from kanca.storage.sealed_secrets import Owner, Place, Sealed, check_keys
from kanca.storage.secret_box import SecretBox
from kanca.storage.tables import endpoints as endpoints_table
from tests.factories import new_endpoint, new_subscription

OLD, NEW = "the old key of the tests", "the new key of the tests"
OLD_BOX, NEW_BOX, BOTH = SecretBox([OLD]), SecretBox([NEW]), SecretBox([NEW, OLD])
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


async def stored(database: Database, box: SecretBox, *values: str) -> Endpoint:
    """An endpoint with these secrets."""
    secrets = tuple(Secret(value) for value in values)
    return await database.write(endpoints.create, box, new_endpoint(secrets=secrets))


async def subscribed(database: Database, box: SecretBox, *values: str) -> Subscription:
    """A subscription with these secrets."""
    secrets = tuple(Secret(value) for value in values)
    return await database.write(subscriptions.create, box, new_subscription(secrets=secrets))


async def put(database: Database, box: SecretBox, name: str, token: str | None = None) -> None:
    """A bearer credential of that name."""
    credential = read_credential(name, "bearer", {"token": token or f"token-of-{name}"})
    await database.write(credentials.put, box, credential, NOW)


async def sealed(database: Database) -> list[Sealed]:
    """All that is sealed."""
    return (await database.read(sealed_secrets.read, sealed_secrets.BEGINNING, 500))[0]


async def reseal(database: Database) -> int:
    """Seal everything with the new key."""
    found = sealed_secrets.by_key(BOTH, await sealed(database))
    return await database.write(sealed_secrets.replace, sealed_secrets.under_first_key(BOTH, found.older))


async def test_after_sealing_anew_the_old_key_is_not_needed(database: Database) -> None:
    endpoint = await stored(database, OLD_BOX, "s")
    await stored(database, OLD_BOX)
    assert await reseal(database) == 1
    assert await database.read(endpoints.by_number, NEW_BOX, endpoint.number) == endpoint
    assert await reseal(database) == 0


async def test_what_no_key_opens_is_told_and_left(database: Database) -> None:
    lost = await stored(database, SecretBox(["a key that nobody has any more"]), "lost")
    await stored(database, OLD_BOX, "old")
    await stored(database, NEW_BOX, "new")
    before = await sealed(database)
    found = sealed_secrets.by_key(BOTH, before)
    assert [len(each) for each in (found.current, found.older, found.unreadable)] == [1, 1, 1]
    assert found.unreadable[0].name == lost.webhook_id
    assert await reseal(database) == 1
    assert found.unreadable[0] in await sealed(database)


async def test_they_are_read_in_portions_from_the_first_to_the_last(database: Database) -> None:
    made = [(await stored(database, OLD_BOX, f"s{n}")).number for n in range(5)]
    await stored(database, OLD_BOX)
    after, seen, behind = sealed_secrets.BEGINNING, [], []
    remaining = 1
    while remaining:
        values, remaining = await database.read(sealed_secrets.read, after, 2)
        seen += [each.place for each in values]
        behind.append(remaining)
        after = values[-1].place
    assert (seen, behind) == ([Place(Owner.ENDPOINT, number) for number in made], [3, 1, 0])


async def test_a_secret_that_was_changed_meanwhile_is_not_overwritten(database: Database) -> None:
    endpoint = await stored(database, OLD_BOX, "before")
    other = await stored(database, OLD_BOX, "other")
    anew = sealed_secrets.under_first_key(BOTH, await sealed(database))
    await database.write(
        endpoints.change, OLD_BOX, endpoint.webhook_id, lambda e: replace(e, secrets=(Secret("after"),))
    )
    assert await database.write(sealed_secrets.replace, anew) == 1
    changed = await database.read(endpoints.by_number, OLD_BOX, endpoint.number)
    assert changed is not None
    assert changed.secrets == (Secret("after"),)
    assert await reseal(database) == 1
    assert await database.read(endpoints.by_number, NEW_BOX, other.number) == other


async def test_sealing_anew_beside_changes_loses_neither(database: Database) -> None:
    made = [await stored(database, OLD_BOX, "s") for _ in range(4)]

    async def rename(endpoint: Endpoint, turn: int) -> None:
        await database.write(
            endpoints.change,
            BOTH,
            endpoint.webhook_id,
            lambda e: replace(e, name=f"{e.name}x", secrets=(Secret(f"s{turn}"), *e.secrets)[:3]),
        )

    for turn in range(3):
        await asyncio.gather(*(rename(endpoint, turn) for endpoint in made), reseal(database))
    await reseal(database)
    for endpoint in made:
        after = await database.read(endpoints.by_number, NEW_BOX, endpoint.number)
        assert after is not None
        assert after.name == f"{endpoint.name}xxx"
        assert [secret.value for secret in after.secrets] == ["s2", "s1", "s0"]


async def test_a_fresh_database_keeps_the_key_that_it_was_first_served_with(database: Database) -> None:
    assert await sealed(database) == []
    await database.write(check_keys, OLD_BOX)
    await database.write(check_keys, OLD_BOX)
    assert len(await sealed(database)) == 1
    with pytest.raises(InvalidSetting, match="does not have the key"):
        await database.write(check_keys, NEW_BOX)
    built_in = await database.read(endpoints.by_webhook_id, OLD_BOX, RECEIVE_WEBHOOK_ID)
    assert built_in is not None
    assert built_in.secrets == ()
    await reseal(database)
    await database.write(check_keys, NEW_BOX)


async def test_of_two_who_start_at_once_with_different_keys_one_is_refused(database: Database) -> None:
    answers = await asyncio.gather(
        *(database.write(check_keys, box) for box in (OLD_BOX, NEW_BOX)), return_exceptions=True
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["InvalidSetting", "NoneType"]


async def test_another_key_is_found_whichever_secret_needs_it(database: Database) -> None:
    await database.write(check_keys, NEW_BOX)
    first = await stored(database, NEW_BOX, "a")
    last = await stored(database, OLD_BOX, "b")
    with pytest.raises(InvalidSetting):  # sealing anew did not come to its end
        await database.write(check_keys, NEW_BOX)
    await database.write(check_keys, BOTH)
    await reseal(database)
    await database.write(check_keys, NEW_BOX)

    def later(endpoint: Endpoint) -> Endpoint:
        return replace(endpoint, updated_at=last.updated_at + timedelta(days=1), secrets=(Secret("c"),))

    await database.write(endpoints.change, SecretBox([OLD, NEW]), first.webhook_id, later)
    with pytest.raises(InvalidSetting):  # another instance has a key that is missing here
        await database.write(check_keys, NEW_BOX)


async def test_secrets_that_ended_a_day_ago_are_dropped_from_storage(database: Database) -> None:
    hour = timedelta(hours=1)
    a_day_ago = NOW - KEPT_AFTER_END
    secrets = (
        Secret("new"),
        Secret("in grace", NOW + hour),
        Secret("over for an hour", NOW - hour),
        Secret("over for a day", a_day_ago),
        Secret("over for longer", a_day_ago - hour),
    )
    endpoint = await database.write(endpoints.create, OLD_BOX, new_endpoint(secrets=secrets))
    untouched = await stored(database, OLD_BOX, "for ever")
    await stored(database, SecretBox(["a key that nobody has any more"]), "lost")
    before = {each.place: each.value for each in await sealed(database)}
    duty = EndedSecrets(database, OLD_BOX, lambda: NOW)
    assert await duty.run_once() == hour
    after = {each.place: each.value for each in await sealed(database)}
    assert {number for number in before if before[number] != after[number]} == {
        Place(Owner.ENDPOINT, endpoint.number)
    }
    kept = await database.read(endpoints.by_number, OLD_BOX, endpoint.number)
    assert kept == replace(endpoint, secrets=secrets[:3])
    assert Place(Owner.ENDPOINT, untouched.number) in after


async def test_the_last_of_many_endpoints_is_looked_at_too(database: Database) -> None:
    over = (Secret("new"), Secret("over", NOW - KEPT_AFTER_END))

    def fill(connection: Connection) -> None:
        for _ in range(102):
            endpoints.create(connection, OLD_BOX, new_endpoint(secrets=(Secret("s"),)))

    await database.write(fill)
    last = await database.write(endpoints.create, OLD_BOX, new_endpoint(secrets=over))
    await EndedSecrets(database, OLD_BOX, lambda: NOW).run_once()
    kept = await database.read(endpoints.by_number, OLD_BOX, last.number)
    assert kept is not None
    assert kept.secrets == over[:1]


async def test_credentials_are_sealed_anew_too(database: Database) -> None:
    await stored(database, OLD_BOX, "s")
    await put(database, OLD_BOX, "shop")
    await put(database, NEW_BOX, "till")
    assert await reseal(database) == 2
    shop = await database.read(credentials.get, NEW_BOX, "shop")
    assert shop.values == {"token": "token-of-shop"}
    assert await reseal(database) == 0


async def test_a_credential_that_was_replaced_meanwhile_is_not_overwritten(database: Database) -> None:
    await put(database, OLD_BOX, "shop")
    anew = sealed_secrets.under_first_key(BOTH, await sealed(database))
    await put(database, OLD_BOX, "shop", token="a-newer-token")
    assert await database.write(sealed_secrets.replace, anew) == 0
    shop = await database.read(credentials.get, OLD_BOX, "shop")
    assert shop.values == {"token": "a-newer-token"}


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 6, 7, 8])
async def test_all_that_is_sealed_comes_once_whatever_the_portions(database: Database, limit: int) -> None:
    numbers = [(await stored(database, OLD_BOX, "s")).number for _ in range(3)]
    for name in (
        "b",
        "a",
        "7",
    ):  # numbers of endpoints and names of credentials are not mistaken for each other
        await put(database, OLD_BOX, name)
    others = [await subscribed(database, OLD_BOX, "s") for _ in range(2)]
    await subscribed(database, OLD_BOX)
    found = [portion async for portion in sealed_secrets.portions(database, limit)]
    assert {len(portion) for portion in found[:-1]} <= {limit}
    assert [each.place for portion in found for each in portion] == [
        *(Place(Owner.ENDPOINT, number) for number in numbers),
        *(Place(Owner.CREDENTIAL, name) for name in ("7", "a", "b")),
        *(Place(Owner.SUBSCRIPTION, other.number) for other in others),
    ]


async def test_where_nothing_is_sealed_there_are_no_portions(database: Database) -> None:
    assert [portion async for portion in sealed_secrets.portions(database, 2)] == []


async def test_another_key_is_found_when_only_a_credential_needs_it(database: Database) -> None:
    await database.write(check_keys, NEW_BOX)
    await put(database, NEW_BOX, "b")
    for name in ("a", "c"):
        await put(database, OLD_BOX, name)
        with pytest.raises(InvalidSetting):
            await database.write(check_keys, NEW_BOX)
        await database.write(credentials.remove, name)
    await database.write(check_keys, NEW_BOX)


async def test_a_subscription_is_sealed_anew_unless_it_was_changed_meanwhile(database: Database) -> None:
    kept = await subscribed(database, OLD_BOX, "kept")
    changed = await subscribed(database, OLD_BOX, "before")
    anew = sealed_secrets.under_first_key(BOTH, await sealed(database))
    await database.write(
        subscriptions.change, OLD_BOX, changed.id, lambda s: replace(s, secrets=(Secret("after"),))
    )
    assert await database.write(sealed_secrets.replace, anew) == 1
    assert await database.read(subscriptions.get, NEW_BOX, kept.id) == kept
    found = await database.read(subscriptions.get, OLD_BOX, changed.id)
    assert found is not None
    assert found.secrets == (Secret("after"),)


async def test_another_key_is_found_when_only_a_subscription_needs_it(database: Database) -> None:
    await database.write(check_keys, NEW_BOX)
    subscription = await subscribed(database, OLD_BOX, "s")
    with pytest.raises(InvalidSetting):
        await database.write(check_keys, NEW_BOX)
    await database.write(subscriptions.delete, subscription.id, NOW)
    await database.write(check_keys, NEW_BOX)


async def test_ended_secrets_of_subscriptions_are_dropped_too(database: Database) -> None:
    secrets = (Secret("new"), Secret("over for a day", NOW - KEPT_AFTER_END))
    subscription = await database.write(subscriptions.create, OLD_BOX, new_subscription(secrets=secrets))
    await EndedSecrets(database, OLD_BOX, lambda: NOW).run_once()
    assert await database.read(subscriptions.get, OLD_BOX, subscription.id) == replace(
        subscription, secrets=secrets[:1]
    )


async def test_a_credential_does_not_end(database: Database) -> None:
    await put(database, OLD_BOX, "shop")
    before = await sealed(database)
    await EndedSecrets(database, OLD_BOX, lambda: NOW).run_once()
    assert await sealed(database) == before


async def test_an_endpoint_without_secrets_has_nothing_to_open(database: Database) -> None:
    endpoint = await stored(database, OLD_BOX)

    def clear(connection: Connection) -> bytes | None:
        connection.execute(update(endpoints_table).values(secrets=sealed_secrets.NOTHING))
        return connection.scalar(
            select(endpoints_table.c.secrets).where(endpoints_table.c.number == endpoint.number)
        )

    assert await database.write(clear) == b""
    assert await database.read(endpoints.by_number, NEW_BOX, endpoint.number) == endpoint
    await database.write(check_keys, NEW_BOX)
