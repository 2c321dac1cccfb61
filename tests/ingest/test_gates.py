"""What closes the door."""

from __future__ import annotations

from pathlib import Path

from kanca.ingest.gates import DiskGate


async def test_a_full_disk_closes_the_door_until_there_is_room(tmp_path: Path) -> None:
    gate = DiskGate(tmp_path, min_free_bytes=2**62)
    assert gate() is None
    await gate.run_once()
    assert gate() == "disk_full"
    roomy = DiskGate(tmp_path, min_free_bytes=1)
    await roomy.run_once()
    assert roomy() is None


async def test_a_disk_that_cannot_be_asked_closes_nothing(tmp_path: Path) -> None:
    gate = DiskGate(tmp_path / "gone", min_free_bytes=2**62)
    await gate.run_once()
    assert gate() is None
