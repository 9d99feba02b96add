"""Servers that come as Python wheels: only their files are used, never their Python code."""

import importlib.metadata
import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ops.servers.home import Home


class Wheel(NamedTuple):
    """A wheel by name; in its package, `tree` holds the files and `program` the server."""

    distribution: str
    package: str
    tree: str
    program: str

    def programs(self, home: Home) -> Iterator[Path]:
        """The server's program where the servers' user can run it: in place, else in a copy."""
        spec = importlib.util.find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            return
        package = Path(spec.submodule_search_locations[0])
        for program in package.glob(f"{self.tree}/{self.program}"):
            # A root's environment is often below /root, where nobody else gets in.
            if home.user.switched and not home.user.output_of(str(program), "--version"):
                yield self._copy(package, home) / program.relative_to(package)
            else:
                yield program

    def _copy(self, package: Path, home: Home) -> Path:
        """Copy the files, and the libraries that are found beside the package, into the home."""
        version = importlib.metadata.version(self.distribution)
        copies = home.path / "wheels"
        target = copies / f"{self.distribution}-{version}"
        if not target.exists():
            for old in copies.glob(f"{self.distribution}-*"):
                shutil.rmtree(old)
            unfinished = copies / f"{target.name}.unfinished"
            for tree in (package / self.tree, package.with_name(f"{self.package}.libs")):
                if tree.is_dir():
                    shutil.copytree(tree, unfinished / tree.relative_to(package.parent))
            for path in (copies, unfinished, *unfinished.rglob("*")):
                path.chmod(0o755)
            unfinished.rename(target)
        return target / self.package
