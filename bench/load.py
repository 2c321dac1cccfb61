"""Load from ``wrk``: a C program, so that the generator takes as little of the two cores as it can."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.servers import SECRET

CONNECTIONS = 64

_SCRIPT = """
local lines, position, head, tail, pause = {}, 0, nil, nil, 0
function init(args)
  local file = io.open(args[1], "r")
  pause = tonumber(args[2])
  position = tonumber(args[3])
  head, tail = file:read("*l"), file:read("*l")
  for line in file:lines() do lines[#lines + 1] = line end
  file:close()
end
function request()
  position = position % #lines + 1
  local id, signature = lines[position]:match("(%S+) (%S+)")
  local headers = {["Content-Type"] = "application/json", ["Stripe-Signature"] = signature}
  return wrk.format("POST", nil, headers, head .. id .. tail)
end
if PACED then
  function delay() return pause end
end
function done(summary, latency, requests)
  io.write(string.format('{"requests":%d,"seconds":%.6f,"refused":%d,"broken":%d,"p50_ms":%.3f,"p99_ms":%.3f}\\n',
    summary.requests, summary.duration / 1e6, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
"""


_sent: dict[tuple[str, Path], int] = {}
"""How far into a file of requests an address has been sent."""


@dataclass(frozen=True, slots=True)
class Load:
    """What the generator saw."""

    requests: int
    seconds: float
    refused: int
    """Answers that were not 2xx or 3xx."""
    broken: int
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        """Requests that were not refused."""
        return (self.requests - self.refused) / self.seconds


def ensure_wrk() -> str:
    """Where ``wrk`` is; installed from Debian's packages when this is root and it is missing."""
    if shutil.which("wrk") is None and shutil.which("apt-get") and os.geteuid() == 0:
        for command in (["update", "-qq"], ["install", "-y", "-qq", "wrk"]):
            subprocess.run(["/usr/bin/apt-get", *command], check=False, capture_output=True)
    found = shutil.which("wrk")
    if found is None:
        raise SystemExit("The benchmarks need `wrk` (Debian: apt-get install wrk).")
    return found


def signed_requests(path: Path, secret: str, body_bytes: int, count: int) -> None:
    """Write ``count`` distinct signed Stripe events of about ``body_bytes`` for the generator."""
    head = (
        '{"object":"event","type":"charge.succeeded","livemode":false,"api_version":"2026-01-01","id":"evt_'
    )
    filler = json.dumps([{"item": n, "price": "12.50", "note": "zwölf fünfzig"} for n in range(2000)])
    room = body_bytes - len(head) - 32 - len('","data":{"object":{"text":""}}}')
    text = json.dumps(filler[: max(room - room // 5, 0)])[1:-1][:room]
    text = text[: text.rfind(" ")] if " " in text else text
    tail = f'","data":{{"object":{{"text":"{text}"}}}}}}'
    now = str(int(time.time()))
    with path.open("w") as file:
        file.write(f"{head}\n{tail}\n")
        for _ in range(count):
            identity = uuid.uuid4().hex
            signed = f"{now}.{head}{identity}{tail}".encode()
            digest = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
            file.write(f"{identity} t={now},v1={digest}\n")


@contextmanager
def prepared(body_bytes: int, count: int) -> Iterator[tuple[Path, Path]]:
    """A directory for as long as it is entered, and a file in it with so many signed events."""
    with tempfile.TemporaryDirectory(prefix="kanca-bench-") as name:
        requests = Path(name, "requests.txt")
        signed_requests(requests, SECRET, body_bytes, count)
        yield Path(name), requests


def run_wrk(
    url: str, requests: Path, seconds: float, connections: int = CONNECTIONS, pause_ms: float = 0
) -> Load:
    """Load ``url`` for ``seconds`` and say what came of it.

    Each connection rests ``pause_ms`` before every request. Each run goes on where the last one on this file and this
    address ended, so that no event is sent twice.
    """
    script = requests.with_suffix(".lua")
    script.write_text(_SCRIPT.replace("PACED", "true" if pause_ms else "false"))
    begin = _sent.get((url, requests), 0)
    command = [
        ensure_wrk(),
        "-t1",
        f"-c{connections}",
        f"-d{max(round(seconds), 1)}s",
        "-s",
        str(script),
        url,
    ]
    command += ["--", str(requests), f"{pause_ms:.3f}", str(begin)]
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds + 60).stdout
    load = Load(**json.loads(output.strip().splitlines()[-1]))
    _sent[url, requests] = begin + load.requests + 2 * connections
    return load


def get_per_second(url: str, seconds: float, connections: int = 8) -> float:
    """How many times a second ``url`` is answered."""
    command = [ensure_wrk(), "-t1", f"-c{connections}", f"-d{max(round(seconds), 1)}s", url]
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds + 60).stdout
    if "Non-2xx" in output:
        raise SystemExit(f"{url} was refused")
    return float(output.split("Requests/sec:")[1].split()[0])
