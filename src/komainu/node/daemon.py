"""Run one node: join the shells to the drive, and turn the loop until the drive ends it.

Decides nothing about the cluster: each event goes to the drive, and its effects are carried out in order. No
loss of an address, an interface, a carrier or a route ends the daemon (S4); what is left to end it is an
order, a disk that refuses the state, or a fault of its own, and then a watchdog, where there is one, resets
the machine.
"""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable
from typing import Final, assert_never

import komainu
from komainu import compiled
from komainu.cib.element import Element
from komainu.executor.interface import DescribeAgent, RunAgent, StopWatching
from komainu.fencing.interface import RunFenceAgent
from komainu.fencing.sbd import LOOKS_PER_TIMEOUT
from komainu.model.ids import Incarnation, Instant, NodeId, WallTime
from komainu.model.link import LinkEnd
from komainu.model.plan import Plan
from komainu.model.report import Level, Note, Place, Refused
from komainu.network.interface import (
    AddAddress,
    DumpEnds,
    FindCulprit,
    InterfaceSeen,
    NetworkEvent,
    PacketsDropped,
    RemoveAddress,
    UseInterface,
)
from komainu.network.ways import Ways
from komainu.node.addresses import Addresses
from komainu.node.agents import AgentRunner
from komainu.node.blackbox import LastWords, StallWatch
from komainu.node.client_probe import ClientProbe
from komainu.node.corosync.engine import CorosyncEngine
from komainu.node.culprits import CulpritSearch
from komainu.node.drive import Drive
from komainu.node.frames import FrameLinks
from komainu.node.group_socket import GroupSocket
from komainu.node.groups import TellProgram
from komainu.node.interface import (
    AcceptKey,
    Answer,
    AppendRecord,
    DeadlinePassed,
    DrawKey,
    DriveEffect,
    DriveEvent,
    Exit,
    Persist,
    PlanBeside,
    ResetComing,
    ResetMachine,
    StopAsked,
    UseKey,
    UseLayout,
    WriteLayout,
)
from komainu.node.ipc import ClientSocket
from komainu.node.journal import Journal
from komainu.node.key_keeper import KeyKeeper
from komainu.node.link_settings import refuse_kept_addresses
from komainu.node.log import Log
from komainu.node.machine import keep_looking
from komainu.node.memory import keep_in_memory
from komainu.node.netlink import NetlinkListener, look_now
from komainu.node.petting import Petting
from komainu.node.planner import Planner
from komainu.node.sbd import SbdWatch, refuse_short_waits
from komainu.node.settings import SETTINGS_FILE, DaemonSettings, WatchdogSettings, read_settings
from komainu.node.settings_writer import write_layout
from komainu.node.startup import Prepared, mark_life, prepare, unmark_life
from komainu.node.strangers import Completing
from komainu.node.turned_away import TurnedAway
from komainu.node.udp import UdpLinks
from komainu.node.watchdog import DeviceWatchdog, SocketWatchdog, arm
from komainu.node.witness_lease import WitnessLease
from komainu.node.witness_link import WitnessLink
from komainu.recorder.line import write_line
from komainu.recorder.record import Record
from komainu.ring.corosync.interface import LeaveGroup, Multicast, Reconnect
from komainu.ring.interface import AskWitness, KeepPromise, PacketReceived, PeerRefused, SendPacket
from komainu.ring.quorum import is_two_node
from komainu.ring.settings import Engine, RingSettings, agreed_layout, derive
from komainu.ring.wire import Wire
from komainu.scheduler.plan import plan
from komainu.scheduler.remembered import Remembered

EXIT_REFUSED: Final = 2
"""The settings or the machine are not fit; nothing was started."""

EXIT_FAULT: Final = 70
"""A fault of our own (EX_SOFTWARE of sysexits.h): the traceback is in the log."""

EXIT_AT_ONCE: Final = 75
"""Asked a second time to stop, and went without stopping the resources."""

DISK_END_TIMEOUT_S: Final = 5.0
"""How long the end of the daemon waits for the disk."""

NICENESS: Final = -15
"""Before the work that the machine is for, behind what the kernel and its administrator put further ahead."""

DROPS_EVERY_S: Final = 1.0
"""How often the sockets' counters are looked at: soon enough for somebody who looks at status meanwhile."""

NO_DROPS: Final = frozenset({"sealed", "opened"})
"""Counters of packets that all is well with."""


class Daemon:
    """One node's shells around its drive."""

    def __init__(self, settings: DaemonSettings, prepared: Prepared, log: Log) -> None:
        incarnation = Incarnation(int.from_bytes(os.urandom(8)) >> 1)
        make_plan = _planning()
        self._settings = settings
        self._log = log
        self._drive = Drive(
            settings.ring,
            state=prepared.state,
            incarnation=incarnation,
            history=prepared.history,
            make_plan=lambda state, wall: make_plan(state.cib, wall),
            now=now_ms(),
            wall=wall_ms(),
            last_reset=_last_reset(prepared.box.earlier),
            promised=prepared.promised,
        )
        self._planner = Planner(make_plan, self.feed)
        self._box = prepared.box
        self._petting: Petting | None = None
        self._stall_watch: StallWatch | None = None
        self._is_doomed = False
        self._sbd: SbdWatch | None = None
        self._events: deque[DriveEvent] = deque()
        self._is_draining = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: Instant | None = None
        self._ended: asyncio.Future[int] | None = None
        self._watchdog: DeviceWatchdog | SocketWatchdog | None = None
        self._stops_asked = 0
        self._is_ready = False
        ring = self._drive.settings  # those of the stored state, where komainu.toml is older
        wire = self._wire = Wire(
            ring, key=settings.key, incarnation=incarnation, accepted=settings.accepted_keys
        )
        self._keys = KeyKeeper(wire, settings.key_file, self.feed, log.write)
        self._ways = Ways()
        self._told_drops: tuple[tuple[str, int], ...] = ()
        is_builtin = ring.engine is Engine.BUILTIN
        own = ring.of(ring.me).ends if is_builtin else ()  # Corosync has sockets of its own
        self._links = UdpLinks(own, _peers(ring), settings.port, wire, self._take_datagram)
        self._corosync = None if is_builtin else CorosyncEngine(ring, self.feed)
        self._frames = FrameLinks(wire, self._ways, self.feed)
        counted = (wire.counters, self._links.counters, self._frames.counters)
        self._complete = Completing(self._links.strangers, self._drive.names, counted)
        self._culprits = CulpritSearch(self.feed)
        self._addresses = Addresses(self.feed)
        self._kernel = NetlinkListener(self._take_network)
        self._journal = Journal(
            (prepared.state_file, prepared.promise_file), prepared.flight_file, self.feed, log.write
        )
        told = (self.feed, log.write)
        self._witness = self._complete.witness = _way_to_witness(ring, incarnation, lambda: wire.keys, told)
        detect_ms = derive(ring).detect_within_ms
        self._probe = ClientProbe(settings.clients, detect_ms, now_ms, told)
        self._clients = ClientSocket(settings.run_folder, self.feed)
        self._groups = GroupSocket(settings.run_folder, self.feed)
        self._agents = AgentRunner(ring.of(ring.me).name, self.feed)

    async def run(self) -> int:
        """Run until the drive ends it; return the exit code. Raises Refused when a shell cannot start."""
        loop = asyncio.get_running_loop()
        self._ended = loop.create_future()
        loop.set_exception_handler(self._fault)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._take_stop_signal)
        loop.add_signal_handler(signal.SIGHUP, self._take_hang_up)
        self._links.turned_away = TurnedAway(self._wire, lambda: agreed_layout(self._drive.settings))
        self._links.start()
        if self._corosync is not None:
            self._corosync.start()
        if self._witness is not None:
            await self._witness.start()
        await self._clients.start()
        await self._groups.start()
        if self._settings.watchdog is not None:
            self._arm(self._settings.watchdog)
        mark_life(self._settings.run_folder)
        self._box.begin()
        self._journal.start()
        self._log.write(self._greeting())
        self._carry_out(self._drive.start())
        self._kernel.start()
        if self._settings.clients:
            self._probe.start()
        self._set_timer()
        self._look_at_drops()
        keep_looking(self.feed)
        gc.collect()
        gc.freeze()  # what lives as long as the daemon need not be looked at again
        code = await self._ended
        self._close(code)
        return code

    def _greeting(self) -> Note:
        ring = self._drive.settings
        me = ring.of(ring.me)
        links = ", ".join(f"link {end.link} {end.address}" for end in me.ends)
        message = (
            f"komainu {komainu.__version__}: node {me.name} (id {me.node}) of cluster {ring.cluster}; {links}"
        )
        return Note(Level.NOTICE, "daemon.starting", message)

    # -- events and effects -----------------------------------------------------------------------------

    def feed(self, event: DriveEvent) -> None:
        """Give one event to the drive and carry out what follows, after what is under way."""
        self._events.append(event)
        if self._is_draining:
            return
        assert self._ended is not None
        self._is_draining = True
        try:
            while self._events and not self._ended.done():  # nothing is done with a state that broke
                self._carry_out(self._drive.handle(self._events.popleft(), now_ms(), wall_ms()))
        finally:
            self._is_draining = False
        self._set_timer()

    def _carry_out(self, effects: list[DriveEffect]) -> None:
        for effect in effects:
            match effect:
                case SendPacket(link=link, peer=peer):
                    way = self._frames if self._ways.is_by_frame(link, peer) else self._links
                    way.send(effect)
                case Multicast() | LeaveGroup() | Reconnect():
                    assert self._corosync is not None, "only that engine's ring asks for it"
                    self._corosync.carry_out(effect)
                case UseInterface(link=link, index=index):
                    self._links.expect(link, index)
                    self._frames.use(effect)
                case FindCulprit():
                    self._culprits.begin(effect)
                case AddAddress():
                    self._addresses.add(effect)
                case RemoveAddress():
                    self._addresses.remove(effect)
                case Persist():
                    self._journal.persist(effect)
                case KeepPromise(counter=counter):
                    self._journal.promise(counter)
                case AppendRecord(record=record):
                    self._journal.append(write_line(record))
                    if record.position:  # what only this node saw comes as a note, too
                        self._log.write(_note_of(record))
                case RunAgent() | DescribeAgent() | RunFenceAgent():
                    self._agents.run(effect)
                case StopWatching():
                    self._agents.stop_watching(effect)
                case Answer():
                    self._clients.answer(Answer(effect.client, self._complete(effect.reply)))
                case TellProgram():
                    self._groups.tell(effect)
                case AskWitness():
                    assert self._witness is not None, "asked only where the settings name one"
                    self._witness.ask(effect, self._drive.pair.goes_first(self._drive.replica.state))
                case Note():
                    self._log.write(effect)
                case UseLayout(settings=ring):
                    self._wire.reconfigure(ring)
                    self._links.reconfigure(ring.of(ring.me).ends, _peers(ring))
                    self._kernel.look_again()
                case WriteLayout(settings=ring):
                    self._log.write(write_layout(self._settings.file, ring))
                case PlanBeside():
                    self._planner.ask(effect)
                case DrawKey() | AcceptKey() | UseKey():
                    self._keys.carry_out(effect)
                case Exit(code=code, reason=reason):
                    if code:
                        self._explain(reason)
                    self._end(code)
                case ResetMachine(reason=reason):
                    self._doom(reason)
                case _:
                    assert_never(effect)

    def _take_datagram(self, event: PacketReceived | PeerRefused) -> None:
        if isinstance(event, PacketReceived):
            self._ways.heard_datagram(event.link, event.peer)
        self.feed(event)

    def _take_network(self, event: NetworkEvent) -> None:
        if isinstance(event, InterfaceSeen):
            self._links.reopen_missing()
        self.feed(event)
        if isinstance(event, DumpEnds) and not self._is_ready:
            self._is_ready = True
            _tell_systemd(b"READY=1")

    def _look_at_drops(self) -> None:
        """Tell the drive what the sockets dropped, if it is news."""
        counters = self._wire.counters + self._links.counters + self._frames.counters
        counts = tuple(sorted(item for item in counters.items() if item[0] not in NO_DROPS))
        if counts != self._told_drops:
            self._told_drops = counts
            self.feed(PacketsDropped(counts))
        asyncio.get_running_loop().call_later(DROPS_EVERY_S, self._look_at_drops)

    # -- time -------------------------------------------------------------------------------------------

    def _set_timer(self) -> None:
        """Wake at the drive's deadline. An earlier timer is left to fire: it costs less than to move it."""
        deadline = self._drive.deadline
        if self._petting is not None:
            self._petting.expect(deadline)
        if deadline is None or (self._timer_at is not None and self._timer_at <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = deadline
        # Half a millisecond more, since a float may lie just before the whole millisecond that it stands for.
        self._timer = asyncio.get_running_loop().call_at(deadline / 1000 + 0.0005, self._wake)

    def _wake(self) -> None:
        self._timer = self._timer_at = None
        deadline = self._drive.deadline
        if deadline is not None and now_ms() >= deadline:
            self.feed(DeadlinePassed())
        else:
            self._set_timer()

    # -- the last resort --------------------------------------------------------------------------------

    def _arm(self, settings: WatchdogSettings) -> None:
        """Arm the watchdog and begin to pet it."""
        refuse_short_waits(self._settings.sbd_devices, settings.timeout_ms)
        self._watchdog = arm(settings)
        timeout_ms = self._watchdog.timeout_ms
        me = self._drive.me
        if self._watchdog.was_reset:
            text = f"the last boot of {me} was made by its watchdog"
            self._log.write(Note(Level.WARNING, "watchdog.was-reset", text))
        self._drive.last_resort.armed(timeout_ms)
        petting = self._petting = Petting(self._watchdog, timeout_ms, self._journal)
        self._complete.petting = petting
        self._stall_watch = StallWatch(
            self._box,
            timeout_ms,
            lambda: petting.petted_s,
            lambda stood_s: (
                f"the watchdog of {me} ({timeout_ms} ms) was about to fire: {petting.reason()}; it was not petted "
                f"for {stood_s * 1000:.0f} ms"
            ),
        )
        self._stall_watch.start()
        if self._settings.sbd_devices:
            self._watch_disks(self._settings.sbd_devices)
        petting.start()

    def _watch_disks(self, paths: tuple[str, ...]) -> None:
        """Watch the shared disks; what their threads see is handed to the loop."""
        loop = asyncio.get_running_loop()

        def say(text: str) -> None:
            loop.call_soon_threadsafe(self._log.write, Note(Level.WARNING, "sbd.disk", text))

        def poisoned(reason: str) -> None:
            loop.call_soon_threadsafe(self._doom, reason)
            loop.call_soon_threadsafe(self.feed, ResetComing(reason))

        assert self._watchdog is not None
        timeout_ms = self._watchdog.timeout_ms
        self._sbd = self._complete.disks = SbdWatch(
            paths, self._drive.me, poisoned, say, watchdog_ms=timeout_ms
        )
        self._sbd.start()
        self._look_at_disks(self._sbd, timeout_ms / LOOKS_PER_TIMEOUT / 1000)

    def _look_at_disks(self, sbd: SbdWatch, pause_s: float) -> None:
        """Reset this machine when no pill would reach it and no peer vouches for it."""
        drive = self._drive
        view, cib, halves_stay = drive.ring.view, drive.replica.state.cib, is_two_node(drive.settings)
        if sbd.has_lost_majority() and (
            reason := drive.last_resort.lost_disks(view, cib, halves_stay=halves_stay)
        ):
            self._doom(reason)
            return
        asyncio.get_running_loop().call_later(pause_s, self._look_at_disks, sbd, pause_s)

    def _doom(self, reason: str) -> None:
        """Have the watchdog reset this machine: from now on nothing pets it."""
        self._is_doomed = True
        if self._petting is not None:
            self._petting.stop()
        self._explain(reason)
        self._log.write(Note(Level.ERROR, "reset.doomed", reason))
        if self._stall_watch is not None:
            self._stall_watch.close()
        if self._watchdog is not None:
            self._watchdog.expire()

    def _explain(self, reason: str) -> None:
        """Write the reason of a coming reset into the black box, where there is a watchdog that will make it."""
        if self._watchdog is None:
            return
        try:
            self._box.explain(reason, wall_ms())
        except OSError as error:
            text = f"the black box cannot be written: {error.strerror}"
            self._log.write(Note(Level.ERROR, "blackbox.unwritable", text))

    # -- the end ----------------------------------------------------------------------------------------

    def _take_stop_signal(self) -> None:
        self._stops_asked += 1
        if self._stops_asked == 1:
            _tell_systemd(b"STOPPING=1")
            self.feed(StopAsked())
        else:
            text = "asked again to stop: leaving at once, the resources are left running"
            self._log.write(Note(Level.WARNING, "daemon.at-once", text))
            self._end(EXIT_AT_ONCE)

    def _take_hang_up(self) -> None:
        text = "SIGHUP changes nothing: settings are read at the start"
        self._log.write(Note(Level.INFO, "daemon.hang-up", text))

    def _fault(self, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        """End the daemon for a fault of our own: what follows from a broken state is worse than a restart."""
        del loop
        error = context.get("exception")
        text = str(context.get("message", "an error without a message"))
        if isinstance(error, OSError) and text.startswith("socket.accept()"):
            # Out of file descriptors for one more client. The loop tries again in a second by itself.
            self._log.write(Note(Level.WARNING, "ipc.accept", f"{text}: {error}"))
            return
        if isinstance(error, BaseException):
            text = "".join(traceback.format_exception(error)).rstrip()
        self._log.write(Note(Level.ERROR, "daemon.fault", text))
        last = text.splitlines()[-1] if text else "unknown"
        self._explain(f"the daemon of {self._drive.me} ended for a fault of its own: {last}")
        self._end(EXIT_FAULT)

    def _end(self, code: int) -> None:
        assert self._ended is not None
        if not self._ended.done():
            self._ended.set_result(code)

    def _close(self, code: int) -> None:
        """Close the shells. After a fault the watchdog stays armed: what runs here is watched by nobody."""
        self._clients.close()
        self._groups.close()
        self._kernel.close()
        self._links.close()
        if self._corosync is not None:
            self._corosync.close()
        self._frames.close()
        self._culprits.close()
        if self._witness is not None:
            self._witness.close()
        self._probe.close()
        self._addresses.close()
        self._agents.close()
        self._planner.close()
        if self._petting is not None:
            self._petting.close()
        self._journal.end(DISK_END_TIMEOUT_S)
        if self._stall_watch is not None:
            self._stall_watch.close()
        if self._sbd is not None:
            self._sbd.close()
        if code in {0, EXIT_AT_ONCE} and not self._is_doomed:
            self._box.end()
            unmark_life(self._settings.run_folder)
            if self._watchdog is not None:
                self._watchdog.disarm()


def _way_to_witness(
    ring: RingSettings,
    incarnation: Incarnation,
    keys: Callable[[], tuple[bytes, ...]],
    told: tuple[Callable[[DriveEvent], None], Callable[[Note], None]],
) -> WitnessLink | WitnessLease | None:
    """Make the way to the witness, where there is one; Corosync asks its own."""
    witness = ring.quorum.witness
    if witness is None or ring.engine is not Engine.BUILTIN:
        return None
    return (
        WitnessLease(ring, witness, told)
        if witness.path
        else WitnessLink(ring, witness, incarnation, keys, told)
    )


def main(config: str = SETTINGS_FILE, name: str | None = None) -> int:
    """Run the daemon of this node; return its exit code."""
    log = Log()
    _ask_for_cpu()
    try:
        host = socket.gethostname()
        names = (name,) if name else (host, host.partition(".")[0])
        settings = read_settings(config, names, named=name is not None)
        ends = settings.ring.of(settings.ring.me).ends
        if any(end.keep_address for end in ends):
            refuse_kept_addresses(ends, look_now(), Place(config))
        prepared = prepare(settings)
        for note in prepared.notes:
            log.write(note)
        log.write(keep_in_memory(is_guarded=settings.watchdog is not None))
        if compiled.told():
            log.write(Note(Level.INFO, "daemon.compiled", compiled.told()))
        daemon = Daemon(settings, prepared, log)
        return asyncio.run(daemon.run())
    except Refused as refused:
        sys.stderr.write(f"{refused}\n")
        return EXIT_REFUSED
    except Exception:  # noqa: BLE001 - the one place where a fault outside of the loop ends the daemon
        log.write(Note(Level.ERROR, "daemon.fault", traceback.format_exc().rstrip()))
        return EXIT_FAULT


def _peers(ring: RingSettings) -> dict[NodeId, tuple[LinkEnd, ...]]:
    """Return the ends of every other node."""
    return {entry.node: entry.ends for entry in ring.nodes if entry.node != ring.me}


def _planning() -> Callable[[Element, WallTime], Plan]:
    """Make plans, and keep what was read of what has not changed since."""
    remembered = Remembered()
    return lambda cib, wall: plan(cib, wall // 1000, remembered=remembered)


def _last_reset(words: LastWords) -> str:
    """Say why this machine was reset in an earlier life; "" when it was not, or nobody knows."""
    return words.reason if words.is_running else ""


def _ask_for_cpu() -> None:
    """Go before ordinary work when the machine is busy, where that is allowed; children do not inherit it.

    Not a real-time class: a daemon that spins must not stop the machine that it guards.
    """
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, os.sched_param(0))
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)


def _note_of(record: Record) -> Note:
    """Say in the log what was agreed on, as the flight record has it."""
    if record.refused:
        return Note(Level.INFO, record.cause.code, f"refused: {record.cause.text}: {record.refused}")
    return Note(Level.INFO, record.cause.code, record.cause.text)


def now_ms() -> Instant:
    """Read the monotonic clock."""
    return Instant(time.monotonic_ns() // 1_000_000)


def wall_ms() -> WallTime:
    """Read the wall clock."""
    return WallTime(time.time_ns() // 1_000_000)


def _tell_systemd(message: bytes) -> None:
    """Tell systemd how far we are, where it wants to know (sd_notify(3), Type=notify)."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as one:
        try:
            one.sendto(message, "\0" + path[1:] if path.startswith("@") else path)
        except OSError:
            return
