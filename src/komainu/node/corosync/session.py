"""Hold one connection to the Corosync of this node: ask its five services, and turn what they say into events.

Decides nothing; raises EngineFailed when Corosync is gone or not fit. Lives on the engine's thread (engine.py), since
a call waits as long as Corosync does not answer. Source: cpg_overview(3), quorum_overview(3), votequorum_overview(3),
cmap_overview(3), corosync-cfgtool(8).
"""

from collections.abc import Callable
from typing import Any, Final

from komainu.model.ids import LinkNumber, NodeId
from komainu.node.corosync import libraries
from komainu.node.corosync.libraries import EngineFailed, Libraries, check
from komainu.ring.corosync.interface import (
    CorosyncEvent,
    CorosyncPath,
    Device,
    Ending,
    GroupChanged,
    GroupMember,
    GroupMessage,
    PathsSeen,
    QuorumSeen,
)
from komainu.ring.settings import RingSettings

GROUP: Final = b"komainu"
"""Name of the process group. Corosync's own cluster is the scope: another cluster has another group."""

_ENDINGS: Final = {libraries.LEAVE: Ending.LEFT, libraries.NODE_DOWN: Ending.NODE_LOST}
_US_PER_MS: Final = 1000


class Session:
    """One connection. `report` is called with each event from within `dispatch`."""

    def __init__(
        self, loaded: Libraries, settings: RingSettings, report: Callable[[CorosyncEvent], None]
    ) -> None:
        """Connect to every service and join the group. Raises EngineFailed."""
        self._lib = loaded
        self._ffi = loaded.ffi
        self._settings = settings
        self._report = report
        self._open: list[Callable[[], object]] = []
        self._callbacks: list[object] = []  # cffi frees what nobody holds
        self._handles: dict[str, int] = {}
        self._fds: dict[int, tuple[Any, int]] = {}
        self._quorum_seen: tuple[bool, tuple[int, ...]] | None = None
        try:
            self._connect()
        except BaseException:
            self.close()
            raise

    @property
    def fds(self) -> tuple[int, ...]:
        """The descriptors that become readable when there is something to dispatch."""
        return tuple(self._fds)

    def dispatch(self, fd: int) -> None:
        """Take what has come on a descriptor. Raises EngineFailed."""
        function, handle = self._fds[fd]
        code = function(handle, libraries.DISPATCH_ALL)
        if code != libraries.TRY_AGAIN:
            check(code, "Corosync ended")

    def multicast(self, data: bytes) -> bool:
        """Give a message to the group; False when Corosync takes none now. Raises EngineFailed."""
        buffer = self._ffi.from_buffer(data)
        vector = self._ffi.new("iovec *", (buffer, len(data)))
        code = self._lib.cpg.cpg_mcast_joined(self._handles["cpg"], libraries.TYPE_AGREED, vector, 1)
        if code == libraries.TRY_AGAIN:
            return False
        check(code, "a message could not be sent")
        return True

    def leave(self) -> None:
        """Leave the group."""
        self._lib.cpg.cpg_leave(self._handles["cpg"], self._name())

    def close(self) -> None:
        """Drop the connection, without a word where `leave` was not called."""
        for close in reversed(self._open):
            close()
        self._open.clear()

    def look(self) -> None:
        """Ask how links and votes stand, and report both."""
        self._report(PathsSeen(tuple(self._paths())))
        if self._quorum_seen is not None:
            self._report(self._quorum(*self._quorum_seen))

    # -- connecting -------------------------------------------------------------------------------------

    def _connect(self) -> None:
        lib, ffi = self._lib, self._ffi
        deliver = ffi.callback("cpg_deliver_fn", self._deliver)
        changed = ffi.callback("cpg_confchg_fn", self._change)
        group = ffi.new("cpg_callbacks *", (deliver, changed))
        notify = ffi.callback("quorum_fn", self._notify)
        quorum = ffi.new("quorum_callbacks *", (notify,))
        shutdown = ffi.callback("cfg_shutdown_fn", self._refuse_shutdown)
        cfg = ffi.new("cfg_callbacks *", (shutdown,))
        self._callbacks += [deliver, changed, group, notify, quorum, shutdown, cfg]
        self._begin("cpg", lambda h: lib.cpg.cpg_initialize(h, group), lib.cpg.cpg_finalize)
        self._check_node()
        kind = ffi.new("uint32_t *")
        self._begin(
            "quorum", lambda h: lib.quorum.quorum_initialize(h, quorum, kind), lib.quorum.quorum_finalize
        )
        if kind[0] == 0:
            raise EngineFailed("corosync.conf has no quorum provider; write provider: corosync_votequorum")
        self._begin(
            "votes",
            lambda h: lib.votequorum.votequorum_initialize(h, ffi.NULL),
            lib.votequorum.votequorum_finalize,
        )
        self._begin("cfg", lambda h: lib.cfg.corosync_cfg_initialize(h, cfg), lib.cfg.corosync_cfg_finalize)
        self._begin(
            "stats", lambda h: lib.cmap.cmap_initialize_map(h, libraries.MAP_STATS), lib.cmap.cmap_finalize
        )
        self._watch(lib.cpg.cpg_fd_get, "cpg", lib.cpg.cpg_dispatch)
        self._watch(lib.quorum.quorum_fd_get, "quorum", lib.quorum.quorum_dispatch)
        self._watch(lib.cfg.corosync_cfg_fd_get, "cfg", lib.cfg.corosync_cfg_dispatch)
        track = libraries.TRACK_CURRENT_AND_CHANGES
        check(lib.quorum.quorum_trackstart(self._handles["quorum"], track), "quorum is not told")
        check(lib.cpg.cpg_join(self._handles["cpg"], self._name()), "the group cannot be joined")

    def _begin(self, name: str, initialize: Callable[[Any], int], finalize: Callable[[int], object]) -> None:
        handle = self._ffi.new("uint64_t *")
        check(initialize(handle), "Corosync does not answer")
        self._handles[name] = handle[0]
        self._open.append(lambda: finalize(handle[0]))

    def _watch(
        self, fd_get: Callable[[int, Any], int], name: str, dispatch: Callable[[int, int], int]
    ) -> None:
        fd = self._ffi.new("int *")
        check(fd_get(self._handles[name], fd), "Corosync does not answer")
        self._fds[fd[0]] = (dispatch, self._handles[name])

    def _check_node(self) -> None:
        """Refuse a Corosync that takes this machine for another node."""
        number = self._ffi.new("unsigned int *")
        check(self._lib.cpg.cpg_local_get(self._handles["cpg"], number), "Corosync does not say who we are")
        me = self._settings.of(self._settings.me)
        if number[0] != me.node:
            message = (
                f"this node is {number[0]} in corosync.conf, but {me.name} has id {me.node} in komainu.toml"
            )
            raise EngineFailed(f"{message}; `komainu config corosync` writes one that fits")

    def _name(self) -> object:
        return self._ffi.new("cpg_name *", (len(GROUP), GROUP))

    # -- what Corosync says -----------------------------------------------------------------------------

    def _deliver(self, _handle: int, _name: object, node: int, process: int, *message: Any) -> None:
        data, size = message
        self._report(GroupMessage(GroupMember(NodeId(node), process), bytes(self._ffi.buffer(data, size))))

    def _change(self, _handle: int, _name: object, members: Any, count: int, *changes: Any) -> None:
        gone, lost, _joined, _ = changes
        here = tuple(_member(members[number]) for number in range(count))
        left = tuple(
            (_member(gone[number]), _ENDINGS.get(gone[number].reason, Ending.PROCESS_DIED))
            for number in range(lost)
        )
        self._report(GroupChanged(here, left))

    def _notify(self, _handle: int, quorate: int, _ring: int, count: int, nodes: Any) -> None:
        self._quorum_seen = (bool(quorate), tuple(nodes[number] for number in range(count)))
        self._report(self._quorum(*self._quorum_seen))

    def _refuse_shutdown(self, handle: int, _flags: int) -> None:
        """Answer who wants to end Corosync: not while this daemon works with it. It may be forced."""
        self._lib.cfg.corosync_cfg_replyto_shutdown(handle, libraries.SHUTDOWN_NO)

    def _quorum(self, is_quorate: bool, nodes: tuple[int, ...]) -> QuorumSeen:
        info = self._info(self._settings.me)
        flags = 0 if info is None else info.flags
        device = device_of(flags)
        votes = []
        for node in nodes:
            other = self._info(node)
            votes.append((NodeId(node), 0 if other is None else other.node_votes))
        return QuorumSeen(
            is_quorate=is_quorate,
            nodes=tuple(votes),
            expected=0 if info is None else info.highest_expected,
            needed=0 if info is None else info.quorum,
            device_votes=info.qdevice_votes if info is not None and device is Device.CASTS else 0,
            is_two_node=bool(flags & libraries.TWO_NODE),
            has_tie_breaker=bool(flags & libraries.AUTO_TIE_BREAKER),
            device=device,
        )

    def _info(self, node: int) -> Any:
        info = self._ffi.new("votequorum_info *")
        code = self._lib.votequorum.votequorum_getinfo(self._handles["votes"], node, info)
        return info if code == libraries.OK else None

    def _paths(self) -> list[CorosyncPath]:
        found = []
        for node in self._settings.nodes:
            status = self._ffi.new("node_status *")
            code = libraries.OK
            if node.node != self._settings.me:
                code = self._lib.cfg.corosync_cfg_node_status_get(
                    self._handles["cfg"], node.node, libraries.NODE_STATUS_V1, status
                )
            if node.node == self._settings.me or code != libraries.OK:
                continue
            for number in range(libraries.LINKS_MAX):
                link = status.links[number]
                if link.enabled:
                    latency = self._latency(node.node, number) if link.connected else None
                    found.append(CorosyncPath(LinkNumber(number), node.node, bool(link.connected), latency))
        return found

    def _latency(self, node: int, link: int) -> float | None:
        value = self._ffi.new("uint32_t *")
        key = f"stats.knet.node{node}.link{link}.latency_ave".encode()
        code = self._lib.cmap.cmap_get_uint32(self._handles["stats"], key, value)
        return value[0] / _US_PER_MS if code == libraries.OK else None


def _member(address: Any) -> GroupMember:
    return GroupMember(NodeId(address.nodeid), address.pid)


def device_of(flags: int) -> Device:
    """Say how the quorum device stands, by votequorum's flags."""
    if not flags & libraries.DEVICE_REGISTERED:
        return Device.ABSENT
    if not flags & libraries.DEVICE_ALIVE:
        return Device.SILENT
    return Device.CASTS if flags & libraries.DEVICE_CASTS_VOTE else Device.WITHHOLDS
