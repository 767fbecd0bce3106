"""Machines with names and addresses of their own, on a switch, with cables that can be pulled: network namespaces
behind a bridge. Only root can make them. The tests, and the daemon, run on the switch."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

needs_root = pytest.mark.skipif(
    os.name == "nt" or os.geteuid() != 0 or subprocess.run(["ip", "-V"], capture_output=True).returncode != 0,
    reason="only root can make network namespaces, with iproute2",
)


@dataclass
class Machine:
    """``cable``: the switch's end of it. ``before``: the command that runs another one there."""

    name: str
    address: str
    space: str
    cable: str

    @property
    def before(self) -> list[str]:
        named = f'hostname {self.name} && exec "$@"'
        return ["ip", "netns", "exec", self.space, "unshare", "--uts", "sh", "-c", named, "sh"]

    def pull(self) -> None:
        ip("link", "set", self.cable, "down")

    def plug(self) -> None:
        ip("link", "set", self.cable, "up")

    def limit(self, rate: int) -> None:
        """To ``rate`` Mbit/s in each direction."""
        run("tc", "qdisc", "add", "dev", self.cable, *_bucket(rate))
        self.limit_sending(rate)

    def limit_sending(self, rate: int) -> None:
        run("ip", "netns", "exec", self.space, "tc", "qdisc", "add", "dev", "eth0", *_bucket(rate))

    def block_incoming(self) -> None:
        """As a firewall does: drop the connections that others open, and let replies pass."""
        on, opening = (
            ["dev", self.cable, "parent", "1:"],
            ["match", "u8", "0x02", "0x12", "at", "33"],
        )  # SYN without ACK
        run("tc", "qdisc", "add", "dev", self.cable, "root", "handle", "1:", "htb", "default", "1")
        for number in ("1:1", "1:2"):
            run("tc", "class", "add", *on, "classid", number, "htb", "rate", "10gbit")
        run("tc", "qdisc", "add", "dev", self.cable, "parent", "1:2", "pfifo", "limit", "0")
        tcp = ["protocol", "ip", "u32", "match", "ip", "protocol", "6", "0xff"]
        run("tc", "filter", "add", *on, *tcp, *opening, "flowid", "1:2")

    def sent(self) -> int:
        """Bytes that it has sent."""
        return self._count("rx_bytes")

    def received(self) -> int:
        return self._count("tx_bytes")

    def _count(self, name: str) -> int:
        return int((Path("/sys/class/net") / self.cable / "statistics" / name).read_text())


def _bucket(rate: int) -> list[str]:
    return ["root", "tbf", "rate", f"{rate}mbit", "burst", "1mb", "latency", "100ms"]


@contextmanager
def switch(names: Sequence[str]) -> Iterator[tuple[str, list[Machine]]]:
    """Its own address, and a machine with each of these names."""
    number = os.getpid() % 12_500
    bridge, subnet = f"sf{number}", f"10.{200 + number % 50}.{number // 50}"
    own = f"{subnet}.254"
    made = [Machine(n, f"{subnet}.{i}", f"{bridge}-{i}", f"{bridge}-{i}") for i, n in enumerate(names, 1)]
    try:
        ip("link", "add", bridge, "type", "bridge")
        ip("address", "add", f"{own}/24", "dev", bridge)
        ip("link", "set", bridge, "up")
        for machine in made:
            ip("netns", "add", machine.space)
            ip("link", "add", machine.cable, "type", "veth", "peer", "name", "eth0", "netns", machine.space)
            ip("link", "set", machine.cable, "master", bridge, "up")
            inside = ["-n", machine.space]
            ip(*inside, "address", "add", f"{machine.address}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                ip(*inside, "link", "set", device, "up")
        yield own, made
    finally:
        for machine in made:
            subprocess.run(["ip", "link", "del", machine.cable], capture_output=True)  # with its space, it goes later
            subprocess.run(["ip", "netns", "del", machine.space], capture_output=True)
        subprocess.run(["ip", "link", "del", bridge], capture_output=True)


def ip(*arguments: str) -> None:
    run("ip", *arguments)


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
