"""Load Corosync's own libraries, and say in words what they answer.

Decides nothing. Called through cffi in ABI mode: no compiler, no headers. The declarations are those of the headers of
Corosync 3.1 (cpg.h, quorum.h, votequorum.h, cfg.h, cmap.h); the versions in the libraries' names stand for them.
"""

from typing import Any, Final

import cffi  # type: ignore[import-untyped]  # it has no type information

from komainu.model.report import Refused, Report

LIBRARIES: Final = {
    "cpg": "libcpg.so.4",
    "quorum": "libquorum.so.5",
    "votequorum": "libvotequorum.so.8",
    "cfg": "libcfg.so.7",
    "cmap": "libcmap.so.4",
}

OK: Final = 1
TRY_AGAIN: Final = 6
DISPATCH_ALL: Final = 2
TRACK_CURRENT_AND_CHANGES: Final = 0x01 | 0x02
TYPE_AGREED: Final = 2
MAP_ICMAP, MAP_STATS = 0, 1
NODE_STATUS_V1: Final = 1
LINKS_MAX: Final = 8
SHUTDOWN_NO: Final = 0

LEAVE, NODE_DOWN = 2, 3
"""Reasons of a change of the group (cpg_reason_t); what else takes a process out is its death."""

TWO_NODE, AUTO_TIE_BREAKER, DEVICE_REGISTERED, DEVICE_ALIVE, DEVICE_CASTS_VOTE = 1, 16, 64, 128, 256
"""Flags of votequorum_getinfo."""

_ERRORS: Final = {
    2: "the connection to Corosync broke",
    5: "Corosync did not answer in time",
    6: "Corosync is busy",
    9: "Corosync is gone",
    11: "Corosync allows only root",
    12: "Corosync does not know that",
    15: "there is no place in /dev/shm",
    18: "Corosync has no resources left",
    100: "Corosync allows only root",
}

_DECLARATIONS: Final = """
typedef struct { uint32_t length; char value[128]; } cpg_name;
typedef struct { uint32_t nodeid; uint32_t pid; uint32_t reason; } cpg_address;
typedef struct { void *iov_base; size_t iov_len; } iovec;
typedef void (*cpg_deliver_fn)(uint64_t, const cpg_name *, uint32_t, uint32_t, void *, size_t);
typedef void (*cpg_confchg_fn)(uint64_t, const cpg_name *, const cpg_address *, size_t,
    const cpg_address *, size_t, const cpg_address *, size_t);
typedef struct { cpg_deliver_fn deliver; cpg_confchg_fn confchg; } cpg_callbacks;
int cpg_initialize(uint64_t *, cpg_callbacks *);
int cpg_finalize(uint64_t);
int cpg_fd_get(uint64_t, int *);
int cpg_dispatch(uint64_t, int);
int cpg_join(uint64_t, const cpg_name *);
int cpg_leave(uint64_t, const cpg_name *);
int cpg_mcast_joined(uint64_t, int, const iovec *, unsigned int);
int cpg_local_get(uint64_t, unsigned int *);

typedef void (*quorum_fn)(uint64_t, uint32_t, uint64_t, uint32_t, uint32_t *);
typedef struct { quorum_fn notify; } quorum_callbacks;
int quorum_initialize(uint64_t *, quorum_callbacks *, uint32_t *);
int quorum_finalize(uint64_t);
int quorum_fd_get(uint64_t, int *);
int quorum_dispatch(uint64_t, int);
int quorum_trackstart(uint64_t, unsigned int);

typedef struct { unsigned int node_id, node_state, node_votes, node_expected_votes, highest_expected, total_votes,
    quorum, flags, qdevice_votes; char qdevice_name[255]; } votequorum_info;
int votequorum_initialize(uint64_t *, void *);
int votequorum_finalize(uint64_t);
int votequorum_getinfo(uint64_t, unsigned int, votequorum_info *);

typedef struct { uint8_t enabled, connected, dynconnected; unsigned int mtu; char source[256]; char target[256]; }
    link_status;
typedef struct { int version; unsigned int nodeid; uint8_t reachable, remote, external, onwire_min, onwire_max,
    onwire_ver; link_status links[8]; } node_status;
typedef void (*cfg_shutdown_fn)(uint64_t, int);
typedef struct { cfg_shutdown_fn shutdown; } cfg_callbacks;
int corosync_cfg_initialize(uint64_t *, const cfg_callbacks *);
int corosync_cfg_finalize(uint64_t);
int corosync_cfg_fd_get(uint64_t, int *);
int corosync_cfg_dispatch(uint64_t, int);
int corosync_cfg_replyto_shutdown(uint64_t, int);
int corosync_cfg_node_status_get(uint64_t, unsigned int, int, void *);

int cmap_initialize_map(uint64_t *, int);
int cmap_finalize(uint64_t);
int cmap_get_uint32(uint64_t, const char *, uint32_t *);
"""


class EngineFailed(Exception):
    """Corosync's fault, or the machine's: it does not answer, or is not fit."""


class Libraries:
    """Corosync's libraries, loaded. Their functions are untyped: cffi knows the declarations, mypy does not."""

    def __init__(self) -> None:
        """Load all. Raises Refused when Corosync 3 is not installed."""
        self.ffi = cffi.FFI()
        self.ffi.cdef(_DECLARATIONS)
        try:
            self.cpg: Any = self.ffi.dlopen(LIBRARIES["cpg"])
            self.quorum: Any = self.ffi.dlopen(LIBRARIES["quorum"])
            self.votequorum: Any = self.ffi.dlopen(LIBRARIES["votequorum"])
            self.cfg: Any = self.ffi.dlopen(LIBRARIES["cfg"])
            self.cmap: Any = self.ffi.dlopen(LIBRARIES["cmap"])
        except OSError as error:
            hint = 'install Corosync 3 (apt-get install corosync), or remove engine = "corosync"'
            message = f"a library of Corosync 3 is missing: {error}"
            raise Refused((Report("corosync.missing", message, hint),)) from None


def check(code: int, what: str) -> None:
    """Raise EngineFailed when a call did not succeed."""
    if code != OK:
        raise EngineFailed(f"{what}: {_ERRORS.get(code, f'error {code} of Corosync')}")
