"""
What an error of the client, or of the server, means: one of ours, in words.

What may be over in a while is `StorageAway`, for what is away is sent again, and what is refused is
lost: so a password that does not do any more is away, too, once it has done.

So is a partition whose slot is just being moved in a cluster. Where an answer (ASK) sends a client
on, the other server refuses a script some keys of which are not there (TRYAGAIN), and some of a
partition's may never be: an empty list is no key. So no server runs them until all has moved.
"""

from redis import exceptions

from ....abc.sharing import StorageAway
from ....errors import StorageError, StorageFull, StorageRefused

_RIGHTS = (
    exceptions.AuthenticationError,
    exceptions.AuthorizationError,
    exceptions.NoPermissionError,
)

_NOT_NOW = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.ReadOnlyError,
    exceptions.ExecAbortError,  # what has changed since it was queued: nothing was done
    exceptions.NoScriptError,
    exceptions.ClusterError,
    exceptions.AskError,  # MOVED is one, too
    exceptions.TryAgainError,
    OSError,
)

_WORDS_OF_RIGHTS = (
    "NOAUTH", "NOPERM", "WRONGPASS",
    "ACL failure in script", "The user executing the script can't",
)  # fmt: skip

_WORDS_NOT_NOW = (
    "BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "NOREPLICAS", "NOTREADY", "READONLY",
    "TRYAGAIN", "UNKILLABLE",
)  # fmt: skip


def translated(where: str, error: Exception, *, opening: bool = False) -> StorageError:
    """Return what *error* means for who uses the server at *where*."""
    if isinstance(error, StorageError):
        return error
    said = f"{where}: {_in_short(error)}"
    if isinstance(error, exceptions.OutOfMemoryError):
        return StorageFull(
            f"{said}: the server has as much in memory as its maxmemory allows: raise that, or "
            "deliver what waits. What was accepted before is safe"
        )
    if _is_of_rights(error):
        if opening:
            return StorageRefused(f"{said}: the URL's user and password have to be allowed there")
        return StorageAway(f"{said}: are the user's password and rights what they were?")
    if opening and "CERTIFICATE_VERIFY_FAILED" in said:
        said = (
            f"{said}: the URL has to say who signs what is trusted, "
            "rediss://HOST:PORT/DB?ssl_ca_certs=/PATH/ca.pem, and call the host by the name in its "
            "certificate"
        )
    elif isinstance(error, _NOT_NOW) or str(error).startswith(_WORDS_NOT_NOW):
        return StorageAway(said)
    return StorageRefused(said)


def is_of_connection(error: Exception) -> bool:
    """Return whether *error* says that a server was not reached, or is not the right one now."""
    return isinstance(
        error,
        exceptions.ConnectionError
        | exceptions.TimeoutError
        | exceptions.ClusterError
        | exceptions.AskError
        | exceptions.ReadOnlyError
        | OSError,
    )


def _is_of_rights(error: Exception) -> bool:
    return isinstance(error, _RIGHTS) or str(error).startswith(_WORDS_OF_RIGHTS)


def _in_short(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
