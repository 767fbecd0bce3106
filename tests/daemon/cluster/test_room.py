"""What travels between machines takes its turn."""

from __future__ import annotations

import asyncio
import contextlib

from daemon.cluster.room import Room


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_first_come_first_served() -> None:
    """Nothing small overtakes something large, which would wait for ever."""

    async def played() -> list[str]:
        room, seen = Room(100), list[str]()

        async def travel(name: str, size: int, end: asyncio.Event) -> None:
            async with room.of(size):
                seen.append(name)
                await end.wait()

        ends = {name: asyncio.Event() for name in "abcd"}
        sizes = {"a": 40, "b": 60, "c": 1000, "d": 1}
        tasks = [asyncio.create_task(travel(name, size, ends[name])) for name, size in sizes.items()]
        await settle()
        assert seen == ["a", "b"]
        ends["a"].set()
        await settle()
        assert seen == ["a", "b"], "c needs all of it"
        ends["b"].set()
        await settle()
        assert seen == ["a", "b", "c"]
        ends["c"].set()
        ends["d"].set()
        await asyncio.gather(*tasks)
        return seen

    assert asyncio.run(played()) == ["a", "b", "c", "d"]


def test_who_gives_up_leaves_its_room_to_others() -> None:
    async def played() -> None:
        room = Room(100)

        async def travel(size: int) -> None:
            async with room.of(size):
                await asyncio.sleep(3600)

        running, waiting = asyncio.create_task(travel(80)), asyncio.create_task(travel(50))
        await settle()
        for task in (waiting, running):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        async with asyncio.timeout(5), room.of(100):
            pass

    asyncio.run(played())
