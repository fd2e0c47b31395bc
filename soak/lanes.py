"""Lanes: trials that go one after the other in each, so many at a time."""

import asyncio
import random
from collections.abc import Awaitable, Callable


async def run_lanes(
    trials: int, lanes: int, seed: int, trial: Callable[[int, random.Random], Awaitable[None]]
) -> None:
    """Run trials, each with the number of its lane and a generator of its own from the seed."""
    rngs = (random.Random(f"{seed} {number}") for number in range(trials))

    async def run_lane(lane: int) -> None:
        for rng in rngs:
            await trial(lane, rng)

    async with asyncio.TaskGroup() as tasks:
        for lane in range(lanes):
            tasks.create_task(run_lane(lane))
