#!/usr/bin/env python3
"""An outside router for Offhook.

It becomes the router of one routing point and gives each caller to the agent who
spoke to this caller last, if that agent is free, and else to the free agent who has
been idle longest. When the connection is lost it connects again and resumes: what
it has missed meanwhile is sent to it, and nothing twice.

    router.py --url ws://127.0.0.1:8080/cti --routing-point 7000 --agents 2001-2010

It needs Python 3.9 or newer and `websockets` 10 or newer, and nothing else.
"""

import argparse
import asyncio
import json
import logging
import signal
import sys
import urllib.parse
from collections import OrderedDict
from dataclasses import dataclass, field

import websockets

SUBPROTOCOL = "offhook.cti.v1"
# Callers whose last agent is remembered.
CALLERS_MAX = 10_000
# Between two attempts to connect, in seconds.
RECONNECT = 1.0
# A snapshot with many calls is long.
FRAME_BYTES_MAX = 16 * 1024 * 1024

log = logging.getLogger("router")


@dataclass
class Agent:
    """What the events at a DN say."""

    ready: bool = False
    # When it became what it is: RFC 3339 in UTC, which sorts like time.
    since: str = ""
    calls: set = field(default_factory=set)
    # The call that we have sent there, until we hear what became of it.
    promised: str = ""

    def is_free(self):
        return self.ready and not self.calls and not self.promised


@dataclass
class Waiting:
    """A caller about whom we were asked, and whom nobody has yet."""

    reference_id: int
    ani: str
    # Agents who did not take this call.
    tried: set = field(default_factory=set)


class Floor:
    """The agents and callers as the event stream shows them, and who gets whom."""

    def __init__(self, routing_point, dns):
        self.routing_point = routing_point
        self.agents = {dn: Agent() for dn in dns}
        # In the order in which they came.
        self.waiting = OrderedDict()
        self.last_agent = OrderedDict()

    def forget_calls(self):
        """A new connection makes a new router, which is asked again about all who wait."""
        self.waiting.clear()
        for agent in self.agents.values():
            agent.promised = ""

    # The strategy.

    def choose(self, caller):
        """The DN of the agent for a caller, and why; None while nobody is free."""
        free = [
            dn
            for dn, agent in self.agents.items()
            if agent.is_free() and dn not in caller.tried
        ]
        last = self.last_agent.get(caller.ani)
        if last in free:
            return last, "who spoke to this caller last"
        if free:
            return min(free, key=lambda dn: self.agents[dn].since), "idle longest"
        return None

    def decisions(self):
        """What to ask of the server now. A caller for whom nobody is free is left alone: the
        queue's own strategy has it after `router_timeout`, unless we find somebody first."""
        for conn_id, caller in self.waiting.items():
            if any(agent.promised == conn_id for agent in self.agents.values()):
                continue
            chosen = self.choose(caller)
            if chosen is None:
                continue
            dn, why = chosen
            self.agents[dn].promised = conn_id
            log.info("%s from %s goes to %s: %s", conn_id, caller.ani, dn, why)
            yield {
                "Message": "RequestRouteCall",
                # The server's own number for this question.
                "ReferenceID": caller.reference_id,
                "ThisDN": self.routing_point,
                "ConnID": conn_id,
                "OtherDN": dn,
                "RouteType": "Direct",
                "Reasons": {"Strategy": why},
            }

    # What the server says.

    def snapshot(self, dn, state):
        """How an address stood when it was registered."""
        agent = self.agents.get(dn)
        if agent is None:
            return
        agent.ready = state.get("AgentStatus") == "Ready"
        agent.since = state.get("Since", "")
        agent.calls = {call["ConnID"] for call in state.get("Calls", [])}

    def event(self, event):
        dn = event.get("ThisDN")
        if dn == self.routing_point:
            self.at_routing_point(event)
        elif dn in self.agents:
            self.at_agent(dn, self.agents[dn], event)

    def at_routing_point(self, event):
        name, conn_id = event["Message"], event.get("ConnID")
        if name == "EventRouteRequest":
            # 0 is no reference, so a missing one is never taken for it.
            reference_id = event.get("ReferenceID", 0)
            self.waiting[conn_id] = Waiting(reference_id, event.get("ANI", ""))
            self.settle(conn_id)
        elif name in ("EventDiverted", "EventAbandoned", "EventReleased"):
            self.waiting.pop(conn_id, None)
            # Whoever got it says so at the DN, sooner or later.
            self.settle(conn_id, but=event.get("ThirdPartyDN"))
        elif name == "EventError":
            self.refused(event)

    def refused(self, event):
        """A route that we asked for has failed; the caller still waits, or is gone."""
        for conn_id, caller in self.waiting.items():
            if caller.reference_id == event.get("ReferenceID"):
                log.info("%s: %s", conn_id, event.get("ErrorMessage"))
                caller.tried |= self.settle(conn_id)
                if event.get("ErrorCode") in ("InvalidConnID", "WrongState"):
                    # It has gone to somebody else, by the queue's own strategy.
                    del self.waiting[conn_id]
                return

    def settle(self, conn_id, but=None):
        """Whom we have sent a call does not get it; returns who that is."""
        promised = {dn for dn, agent in self.agents.items() if agent.promised == conn_id}
        promised.discard(but)
        for dn in promised:
            self.agents[dn].promised = ""
        return promised

    def at_agent(self, dn, agent, event):
        name, conn_id = event["Message"], event.get("ConnID")
        if name in ("EventAgentReady", "EventAgentNotReady", "EventAgentLogin", "EventAgentLogout"):
            agent.ready = name == "EventAgentReady"
            agent.since = event["Time"]
        elif name in ("EventRinging", "EventDialing", "EventEstablished"):
            agent.calls.add(conn_id)
            self.waiting.pop(conn_id, None)
            self.settle(conn_id)
            if name == "EventEstablished" and event.get("ThisQueue") and event.get("ANI"):
                self.remember(event["ANI"], dn)
        elif name == "EventReleased":
            agent.calls.discard(conn_id)
            agent.since = event["Time"]

    def remember(self, ani, dn):
        self.last_agent[ani] = dn
        self.last_agent.move_to_end(ani)
        if len(self.last_agent) > CALLERS_MAX:
            self.last_agent.popitem(last=False)


class Router:
    """The connection to the server."""

    def __init__(self, url, floor):
        self.url = url
        self.floor = floor
        self.reference_id = 0
        # Together they name the last event that we have.
        self.started = None
        self.sequence = None

    async def run(self):
        while True:
            try:
                async with websockets.connect(
                    self.url, subprotocols=[SUBPROTOCOL], max_size=FRAME_BYTES_MAX
                ) as socket:
                    await self.session(socket)
            except (OSError, asyncio.TimeoutError, websockets.exceptions.WebSocketException) as why:
                log.warning("no connection: %s", why)
            await asyncio.sleep(RECONNECT)

    async def session(self, socket):
        hello = json.loads(await socket.recv())
        resumes = self.started == hello["ServerStartTime"]
        if not resumes:
            # Another run of the server: nothing that we know is true of it.
            self.started, self.sequence = hello["ServerStartTime"], hello["EventSequenceNumber"]
        self.floor.forget_calls()
        # Agents first, so that they are known when the first caller is there.
        for dn in [*self.floor.agents, self.floor.routing_point]:
            await self.register(socket, dn, resumes)
        if resumes:
            await self.ask(
                socket,
                {
                    "Message": "RequestResume",
                    "ServerStartTime": self.started,
                    "EventSequenceNumber": self.sequence,
                },
            )
        async for frame in socket:
            resumes = self.hear(json.loads(frame), resumes)
            if not resumes:
                for request in self.floor.decisions():
                    await socket.send(json.dumps(request))

    async def register(self, socket, dn, resumes):
        extensions = {"Router": 1} if dn == self.floor.routing_point else {}
        if resumes:
            # Events wait until we have said from where on we need them.
            extensions["Hold"] = 1
        request = {"Message": "RequestRegisterAddress", "ThisDN": dn, "Extensions": extensions}
        await self.ask(socket, request)

    async def ask(self, socket, request):
        # The questions of the server are counted from 1; ours must not look like them.
        self.reference_id = (self.reference_id + 1) % 0x7FFF_FFFF
        await socket.send(json.dumps({**request, "ReferenceID": 0x8000_0000 + self.reference_id}))

    def hear(self, event, resumes):
        """Takes a frame; whether events are still held back."""
        name, dn = event["Message"], event.get("ThisDN")
        if name == "EventRegistered":
            # The stream is about to say the same, and more.
            if not resumes:
                self.floor.snapshot(dn, event["Extensions"])
            if dn == self.floor.routing_point:
                log.info("routes %s", dn)
        elif name == "EventACK" and resumes:
            log.info("resumed after event %s", self.sequence)
            return False
        elif name == "EventGap":
            # Too long ago: a fresh snapshot of each address follows.
            log.info("events were missed")
            return False
        else:
            self.floor.event(event)
        if "EventSequenceNumber" in event:
            self.sequence = event["EventSequenceNumber"]
        return resumes


def numbers(text):
    """`2001,2005-2010` as a list."""
    found = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        width = len(first)
        found += [f"{dn:0{width}}" for dn in range(int(first), int(last or first) + 1)]
    return found


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--url", default="ws://127.0.0.1:8080/cti")
    parser.add_argument("--token", help="of a client with the role `router`")
    parser.add_argument("--routing-point", required=True)
    parser.add_argument("--agents", required=True, type=numbers, help="such as 2001,2005-2010")
    return parser.parse_args()


async def main():
    asked = arguments()
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(message)s")
    url = asked.url
    if asked.token:
        url += "?" + urllib.parse.urlencode({"token": asked.token})
    router = Router(url, Floor(asked.routing_point, asked.agents))
    running = asyncio.ensure_future(router.run())
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        log.info("ends")


if __name__ == "__main__":
    asyncio.run(main())
