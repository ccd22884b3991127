"""What `make setup` sees to whenever it runs: that environment and settings fit the place where the checkout now lies.

`python -m tools.environment`, with the environment's own Python, from the project's root. It takes a moment and changes
nothing that is right already.
"""

import logging
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

_LONGEST = 127  # letters of a first line that every kernel reads
# Of what pip writes into bin/: `#!/home/ann/sbnet/.venv/bin/python`, or the same behind a shell where that is too long.
_INTERPRETER = re.compile(
    rb"""\A#!(?:/bin/sh\n'''exec' "?)?(?P<python>/[^\n"]*/bin/python[\d.]*)"?(?: "\$0" "\$@"\n' ''')?\n"""
)
_SITE_CACHE = '''"""Imported by every start of this environment's Python: tells DVC where its site cache lies.

DVC makes that folder writable for everybody where it is not there yet, and unpickles what lies in it (CVE-2025-69872).
.dvc/config can only name it relative to the working folder, which may be any, or by a path, which a move makes untrue.
"""

import os
import sys


def _name_site_cache() -> None:
    folder = os.path.join(sys.prefix, "dvc-site-cache")
    try:
        os.makedirs(os.path.join(folder, "repo"), mode=0o700, exist_ok=True)
    except OSError:
        return  # somebody else's environment: .dvc/config names another place
    if os.access(os.path.join(folder, "repo"), os.W_OK):
        os.environ.setdefault("DVC_SITE_CACHE_DIR", folder)


_name_site_cache()
'''

logger = logging.getLogger("tools.environment")


def main() -> None:
    """Mend what a move broke, give DVC a site cache of its own, and let it work without git where there is none."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    scripts = Path(sysconfig.get_path("scripts"))
    if moved := mend_scripts(scripts, scripts / "python"):
        logger.info("the environment was moved: %d commands in %s name its new place", moved, scripts)
    packages = Path(sysconfig.get_path("purelib"))
    try:
        give_site_cache(packages)
    except OSError as error:  # an environment that others keep
        logger.info("%s cannot be written (%s): call dvc from the project's root only", packages, error.strerror)
    settings = Path(".dvc/config.local")
    local = settings.read_text(encoding="utf-8") if settings.is_file() else ""
    if "site_cache_dir" in local:  # a path that is true until the checkout is moved
        _dvc_config("--unset", "core.site_cache_dir")
    with_git, without = is_in_git(Path.cwd()), "no_scm" in local
    if not with_git and not without:
        logger.info("no git repository here, as in a downloaded ZIP: DVC runs without it; `dvc exp` needs `git init`")
        _dvc_config("core.no_scm", "true")
    if with_git and without:
        _dvc_config("--unset", "core.no_scm")


def mend_scripts(folder: Path, python: Path) -> int:
    """Let the commands in `folder` start with `python`, where they name another's; returns how many did."""
    old_prefixes, commands = set(), []
    for path in sorted(folder.iterdir()):
        found = None if path.is_symlink() or not path.is_file() else _INTERPRETER.match(path.read_bytes())
        if found and _is_elsewhere(old := Path(found["python"].decode()), folder):
            old_prefixes.add(old.parent.parent)
            commands.append(path)
            path.write_bytes(_first_lines(python.with_name(old.name)) + path.read_bytes()[found.end() :])
    for path in folder.glob("[aA]ctivate*"):
        text = path.read_text(encoding="utf-8")
        for old in old_prefixes:
            text = text.replace(str(old), str(folder.parent))
        path.write_text(text, encoding="utf-8")
    return len(commands)


def _is_elsewhere(python: Path, folder: Path) -> bool:
    """Whether a Python is not the one in `folder`; by whatever links both are named."""
    return not python.parent.exists() or not python.parent.samefile(folder)


def _first_lines(python: Path) -> bytes:
    if len(str(python)) + 3 <= _LONGEST and " " not in str(python):
        return f"#!{python}\n".encode()
    return f"#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''\n".encode()


def give_site_cache(packages: Path) -> None:
    """Let every Python of the environment with these site-packages name DVC's site cache, in the environment itself."""
    for name, text in (("sbnet_site_cache.py", _SITE_CACHE), ("sbnet_site_cache.pth", "import sbnet_site_cache\n")):
        path = packages / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def is_in_git(folder: Path) -> bool:
    """Whether a folder belongs to a git repository."""
    return any((place / ".git").exists() for place in (folder, *folder.parents))


def _dvc_config(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", "config", "--local", *arguments], check=True)


if __name__ == "__main__":
    main()
