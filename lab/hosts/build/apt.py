"""Fetch packages of any suite and architecture, with their dependencies.

Apt runs with directories of its own, so the machine's package lists do not change. The mirror and
the proxy are those of the machine's configuration.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

import attrs

from lab.hosts.build.run import run
from lab.hosts.errors import BuildError

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
UPDATE_SECONDS = 300
DOWNLOAD_SECONDS = 1800

# Such as: Inst libc6 (2.36-9+deb12u9 Debian:12.11/oldstable [arm64]) []
_PLANNED = re.compile(r"^Inst (?P<name>\S+) \((?P<version>\S+) .*\[(?P<arch>\w+)\]\)", re.MULTILINE)
# The machine's settings for reaching its mirrors.
_INHERITED = re.compile(r"^Acquire::(https?(::.*)?|Retries|Check-Valid-Until|Check-Date) ")


def mirror() -> str:
    """Return the URI of the Debian archive: KSTATS_HOSTS_MIRROR, or this machine's mirror.

    Raises:
        BuildError: There is neither (on another distribution, or before `apt-get update`).
    """
    if uri := os.environ.get("KSTATS_HOSTS_MIRROR"):
        return uri
    listed = run(
        ["apt-get", "indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(REPO_URI)"],
        timeout=60,
    )
    for line in listed.splitlines():
        origin, label, component, uri = line.split("|", 3)
        if (origin, label, component) == ("Debian", "Debian", "main"):
            return uri
    raise BuildError(
        "looking up the Debian mirror of this machine",
        "apt knows no official Debian archive",
        hint="run apt-get update, or set KSTATS_HOSTS_MIRROR to the URI of a Debian mirror",
    )


def _inherited() -> str:
    dump = run(["apt-config", "dump", "--no-empty"], timeout=60)
    return "\n".join(line for line in dump.splitlines() if _INHERITED.match(line))


def _archive_name(name: str, version: str, arch: str) -> str:
    # apt quotes the colon of an epoch.
    return f"{name}_{quote(version, safe='+~-.')}_{arch}.deb".replace("%3A", "%3a")


@attrs.frozen
class Apt:
    """An apt for one suite and architecture, its state below `directory`.

    Attributes:
        directory: Shared by all suites and architectures; keeps the downloaded packages.
        suite: For example `bookworm`.
        arch: Debian's name of the architecture.
    """

    directory: Path
    suite: str
    arch: str

    @property
    def _state(self) -> Path:
        return self.directory / f"{self.suite}-{self.arch}"

    @property
    def _archives(self) -> Path:
        return self.directory / "archives"

    def fetch(self, packages: Sequence[str], *, without: Sequence[str] = ()) -> list[Path]:
        """Download `packages` and their dependencies; return the paths of the archives.

        Args:
            packages: Names; the suite determines the versions.
            without: Packages to treat as installed: they and dependencies of them alone are not
                fetched.

        Raises:
            BuildError: A package is unknown, or the network failed.
        """
        self._prepare(without)
        self._apt("update", timeout=UPDATE_SECONDS)
        plan = self._apt("--simulate", "install", *packages, timeout=UPDATE_SECONDS)
        self._apt("--download-only", "install", *packages, timeout=DOWNLOAD_SECONDS)
        return list(self._planned(plan))

    def _planned(self, plan: str) -> Iterator[Path]:
        for match in _PLANNED.finditer(plan):
            path = self._archives / _archive_name(*match.groups())
            if not path.exists():
                raise BuildError("downloading packages", f"{path.name} is missing")
            yield path

    def _apt(self, *words: str, timeout: float) -> str:
        env = {"APT_CONFIG": str(self._state / "apt.conf"), "DEBIAN_FRONTEND": "noninteractive"}
        return run(["apt-get", "-q", "-y", *words], timeout=timeout, env=env)

    def _prepare(self, without: Sequence[str]) -> None:
        for directory in (
            self._state / "lists/partial",
            self._state / "etc/apt.conf.d",
            self._state / "etc/preferences.d",
            self._archives / "partial",
        ):
            directory.mkdir(parents=True, exist_ok=True)
        # Backports depend on packages of the suite that they are made for.
        source, suites = mirror(), dict.fromkeys((self.suite, self.suite.partition("-")[0]))
        (self._state / "sources.list").write_text(
            "".join(
                f"deb [arch={self.arch} signed-by={KEYRING}] {source} {suite} main\n"
                for suite in suites
            )
        )
        (self._state / "status").write_text("".join(map(self._installed, without)))
        (self._state / "apt.conf").write_text(self._config())

    def _installed(self, package: str) -> str:
        return (
            f"Package: {package}\nStatus: install ok installed\nVersion: 99:99\n"
            f"Architecture: {self.arch}\nMulti-Arch: allowed\nMaintainer: none\n\n"
        )

    def _config(self) -> str:
        return f"""
Dir "{self._state}/";
Dir::State "{self._state}/";
Dir::State::lists "lists/";
Dir::State::status "{self._state}/status";
Dir::Cache "{self._state}/";
Dir::Cache::archives "{self._archives}/";
Dir::Etc "{self._state}/etc/";
Dir::Etc::sourcelist "{self._state}/sources.list";
APT::Default-Release "{self.suite}";
APT::Architecture "{self.arch}";
APT::Architectures {{ "{self.arch}"; }};
APT::Install-Recommends "false";
APT::Keep-Downloaded-Packages "true";
APT::Sandbox::User "";
Acquire::Languages "none";
{_inherited()}
"""
