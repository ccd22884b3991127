"""The repository that colleagues clone, run once for all fault tests, and its remotes: a folder, S3 and SSH servers."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.faults.repository import Repository, clone, make_repository
from tests.faults.ssh_server import serving

_BUCKET = "sbnet"
_KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository whose pipeline has run to the report, with dvc.lock committed; tests only read it and clone it."""
    repository = make_repository(tmp_path_factory.mktemp("origin") / "sbnet")
    repository.dvc("repro")
    repository.git("add", "dvc.lock")
    repository.git("commit", "--quiet", "-m", "Results")
    return repository


@dataclass(frozen=True)
class Remote:
    """Where the finished repository was pushed to, as a colleague reaches it."""

    kind: str
    origin: Repository
    settings: tuple[tuple[str, str], ...]  # of the shipped remote `storage`
    folder: Path | None = None
    endpoint: str = ""
    home: str = ""  # of whoever reaches it, for ~/.ssh

    def colleague(self, folder: Path) -> Repository:
        """A fresh clone that can reach the remote."""
        return self.reach(clone(self.origin, folder))

    def reach(self, repository: Repository) -> Repository:
        """Point the shipped remote here, as docs/remotes.md says."""
        for key, value in self.settings:
            repository.dvc("remote", "modify", "--local", "storage", key, value)
        return Repository(repository.folder, {**_KEYS, **({"HOME": self.home} if self.home else {})})

    def read(self, md5: str) -> bytes:
        """Bytes of an object."""
        if self.folder is not None:
            return self._path(md5).read_bytes()
        return bytes(self._client().get_object(Bucket=_BUCKET, Key=self._key(md5))["Body"].read())

    def write(self, md5: str, data: bytes) -> None:
        """Put other bytes in an object's place."""
        if self.folder is not None:
            self._path(md5).unlink(missing_ok=True)  # read-only, and DVC removes what it finds to be tampered
            self._path(md5).write_bytes(data)
        else:
            self._client().put_object(Bucket=_BUCKET, Key=self._key(md5), Body=data)

    def _path(self, md5: str) -> Path:
        assert self.folder is not None
        return self.folder / "files" / "md5" / md5[:2] / md5[2:]

    def _key(self, md5: str) -> str:
        return f"results/files/md5/{md5[:2]}/{md5[2:]}"

    def _client(self):  # type: ignore[no-untyped-def]  # boto3 makes its classes at run time
        names = ("aws_access_key_id", "aws_secret_access_key", "region_name")
        return boto3.client("s3", endpoint_url=self.endpoint, **dict(zip(names, _KEYS.values(), strict=True)))


@pytest.fixture(scope="session")
def folder_remote(finished: Repository, tmp_path_factory: pytest.TempPathFactory) -> Remote:
    """A folder that everything was pushed to."""
    folder = tmp_path_factory.mktemp("storage")
    remote = Remote("folder", finished, (("url", str(folder)),), folder)
    remote.reach(finished).dvc("push", "--run-cache")
    return remote


@pytest.fixture(scope="session")
def s3_remote(finished: Repository, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    """A bucket on a local S3 server that everything was pushed to."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    settings = (("url", f"s3://{_BUCKET}/results"), ("endpointurl", endpoint))
    remote = Remote("s3", finished, settings, endpoint=endpoint)
    remote._client().create_bucket(Bucket=_BUCKET)
    pusher = clone(finished, tmp_path_factory.mktemp("pusher") / "sbnet")
    pusher.dvc("cache", "dir", "--local", str(finished.folder / ".dvc" / "cache"))
    remote.reach(pusher).dvc("push", "--run-cache")
    yield remote
    server.stop()


@pytest.fixture(scope="session")
def ssh_remote(finished: Repository, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    """A folder on a local SSH server that everything was pushed to."""
    served = tmp_path_factory.mktemp("served")
    with serving(served, tmp_path_factory.mktemp("home")) as account:
        settings = (("url", f"{account.address}/sbnet"), ("user", account.user), ("keyfile", str(account.key)))
        remote = Remote("ssh", finished, settings, served / "sbnet", home=str(account.home))
        pusher = clone(finished, tmp_path_factory.mktemp("ssh-pusher") / "sbnet")
        pusher.dvc("cache", "dir", "--local", str(finished.folder / ".dvc" / "cache"))
        remote.reach(pusher).dvc("push", "--run-cache")
        yield remote


@pytest.fixture(params=["folder", "s3", "ssh"])
def remote(request: pytest.FixtureRequest) -> Remote:
    """Each kind of remote in turn."""
    found: Remote = request.getfixturevalue(f"{request.param}_remote")
    return found
