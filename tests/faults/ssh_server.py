"""An SSH server of our own on this machine, which gives one user one folder over SFTP."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncssh

_HOST = "127.0.0.1"


@dataclass(frozen=True)
class Account:
    """How a client reaches the server: `home` is a home folder whose ~/.ssh knows the server, with the user's key."""

    address: str  # ssh://host:port
    user: str
    home: Path
    key: Path


class _Sftp(asyncssh.SFTPServer):
    root: bytes = b""

    def __init__(self, channel: "asyncssh.SSHServerChannel[bytes]") -> None:
        super().__init__(channel, chroot=self.root)


def _start(loop: asyncio.AbstractEventLoop, root: Path, key: "asyncssh.SSHKey", known: Path) -> int:
    """Listen on a free port, in the thread of `loop`; gives the port."""
    factory = type("Sftp", (_Sftp,), {"root": str(root).encode()})

    async def listen() -> int:
        server = await asyncssh.listen(
            _HOST, 0, server_host_keys=[key], authorized_client_keys=str(known), sftp_factory=factory
        )
        return int(server.get_port())

    return asyncio.run_coroutine_threadsafe(listen(), loop).result()


@contextmanager
def serving(root: Path, home: Path) -> Iterator[Account]:
    """Serve the folder `root`; keys are made in `home`/.ssh."""
    secrets = home / ".ssh"
    secrets.mkdir(parents=True, mode=0o700)
    host_key, user_key = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    user_key.write_private_key(secrets / "id_ed25519")
    user_key.write_public_key(secrets / "authorized_keys")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        port = _start(loop, root, host_key, secrets / "authorized_keys")
        public = host_key.export_public_key().decode()
        (secrets / "known_hosts").write_text(f"[{_HOST}]:{port} {public}")
        yield Account(f"ssh://{_HOST}:{port}", "ada", home, secrets / "id_ed25519")
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
