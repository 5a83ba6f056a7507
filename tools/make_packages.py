"""Build the packages: a .deb, an .rpm and ``kstats.pyz``, one file with its pure-Python libraries.

    tools/make_packages.py FOLDER

All are made from the wheel, which is put there, too. packaging/nfpm.yaml has what is the same each
time: names, dependencies, scripts. Same tree, same bytes: every file has the date of the man pages,
or SOURCE_DATE_EPOCH.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import email.utils
import gzip
import importlib.metadata
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import attrs
import yaml

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

import gen_man  # noqa: E402

import kstats  # noqa: E402
from kstats.cli import PROGRAMS, completion  # noqa: E402

# -I: neither the environment, nor the home directory, nor the working directory can make root
# import other code.
SHEBANG = "#!/usr/bin/python3 -I"

UNITS = ROOT / "deploy/systemd"
NOTES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
RECORDINGS = sorted((ROOT / "examples/recordings").iterdir())


@attrs.frozen
class Layout:
    """Where a distribution has its files, below /usr.

    Attributes:
        name: The kind of package.
        modules: The folder of kstats. Debian's Python imports dist-packages whatever its version.
            Fedora's and openSUSE's have no such folder, and a package for one minor version would
            have to be built again for the next: kstats gets a folder of its own there.
        private: Whether the programs must add that folder to the path.
        zsh: The folder of completions for zsh.
    """

    name: str
    modules: str
    private: bool
    zsh: str


DEB = Layout("deb", "lib/python3/dist-packages", private=False, zsh="zsh/vendor-completions")
RPM = Layout("rpm", "lib/kstats", private=True, zsh="zsh/site-functions")


def main() -> None:
    """Build all packages in the folder named on the command line."""
    into = Path(sys.argv[1]).absolute()
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        wheel = unpacked_wheel(into, work / "wheel")
        for layout in (DEB, RPM):
            stage(wheel, work / layout.name, layout)
            settle(work / layout.name)
        shutil.copytree(ROOT / "packaging/scripts", work / "scripts")
        for layout in (DEB, RPM):
            build(layout, work, into)
        write_pyz(wheel, work / "pyz", into / "kstats.pyz")


def epoch() -> int:
    """Return the date of every file, in seconds since 1970."""
    released = dt.datetime.strptime(gen_man.DATE, "%B %d, %Y").replace(tzinfo=dt.UTC)
    return int(os.environ.get("SOURCE_DATE_EPOCH") or released.timestamp())


def _run(*words: str | Path, cwd: Path = ROOT) -> None:
    env = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch()), "KSTATS_VERSION": kstats.__version__}
    subprocess.run(words, check=True, cwd=cwd, env=env, stdout=subprocess.DEVNULL)


def unpacked_wheel(into: Path, content: Path) -> Path:
    """Build the wheel in one folder and unpack it into the other; return the latter."""
    for old in into.glob("*.whl"):
        old.unlink()
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(into)]
    _run(*command)
    (wheel,) = into.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(content)
    if not any(content.glob("kstats/bpf/objects/*.o.z")):
        sys.exit("make_packages: the wheel has no BPF objects: apt install clang llvm")
    return content


def stage(wheel: Path, root: Path, layout: Layout) -> None:
    """Write everything that a package installs below `root`."""
    usr = root / "usr"
    share = usr / "share"
    shutil.copytree(wheel, usr / layout.modules, ignore=shutil.ignore_patterns("*.data", "RECORD"))
    for name, text in programs(layout).items():
        _write(usr / "bin" / name, text)
    for page in wheel.glob("*.data/data/share/man/*/*"):
        _write_gz(share / "man" / page.parent.name / page.name, page.read_text(encoding="utf-8"))
    for program in ("kstats", *PROGRAMS):
        _write(share / "bash-completion/completions" / program, _completion("bash", program))
        _write(share / layout.zsh / f"_{program}", _completion("zsh", program))
        _write(share / f"fish/vendor_completions.d/{program}.fish", _completion("fish", program))
    for file in UNITS.iterdir():
        unit = file.suffix in (".service", ".socket")
        _copy(file, usr / "lib/systemd/system" if unit else root / "etc/kstats")
    documents(share, layout)


def documents(share: Path, layout: Layout) -> None:
    """Write the documents, the licences and the changelog."""
    folder = share / "doc/kstats"
    for file in NOTES:
        _copy(file, folder / file.parent.relative_to(ROOT))
    for file in RECORDINGS:
        _copy(file, folder / "examples")
    shutil.copytree(ROOT / "deploy", folder / "deploy", ignore=shutil.ignore_patterns(UNITS.name))
    _write_gz(folder / "changelog.gz", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    if layout is DEB:
        _copy(ROOT / "packaging/copyright", folder)
        _write_gz(folder / "changelog.Debian.gz", debian_changelog())
    else:
        for file in (ROOT / "LICENSE", *(ROOT / "LICENSES").iterdir()):
            _copy(file, share / "licenses/kstats")


def debian_changelog() -> str:
    """Return the changelog of the packaging, in the format that Debian's tools read."""
    config = yaml.safe_load((ROOT / "packaging/nfpm.yaml").read_text(encoding="utf-8"))
    date = email.utils.format_datetime(dt.datetime.fromtimestamp(epoch(), dt.UTC))
    return (
        f"kstats ({kstats.__version__}-{config['release']}) unstable; urgency=medium\n\n"
        f"  * What has changed is in changelog.gz.\n\n"
        f" -- {config['maintainer']}  {date}\n"
    )


def programs(layout: Layout) -> dict[str, str]:
    """Return the text of each program by its name."""
    found = {}
    for entry in importlib.metadata.entry_points(group="console_scripts"):
        if entry.dist and entry.dist.name == "kvm-kstats":
            path = f'sys.path.insert(0, "/usr/{layout.modules}")\n' if layout.private else ""
            found[entry.name] = (
                f"{SHEBANG}\nimport sys\n\n{path}from {entry.module} import {entry.attr}\n\n"
                f"sys.exit({entry.attr}())\n"
            )
    return found


def _completion(shell: str, program: str) -> str:
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        completion.run([shell, program])
    return text.getvalue()


def settle(root: Path) -> None:
    """Give every file below `root` the same date, and the mode that its folder implies."""
    for path in root.rglob("*"):
        path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
        os.utime(path, (epoch(), epoch()))


def _write(path: Path, data: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)


def _write_gz(path: Path, text: str) -> None:
    path = path if path.suffix == ".gz" else path.with_name(f"{path.name}.gz")
    _write(path, gzip.compress(text.encode(), mtime=0))


def _copy(file: Path, folder: Path) -> None:
    _write(folder / file.name, file.read_bytes())


def build(layout: Layout, work: Path, into: Path) -> None:
    """Write the package of a layout."""
    config = work / "nfpm.yaml"
    shutil.copy(ROOT / "packaging/nfpm.yaml", config)
    nfpm = Path(sys.executable).with_name("nfpm")
    _run(nfpm, "package", "--packager", layout.name, "--target", into, cwd=work)


def write_pyz(wheel: Path, work: Path, target: Path) -> None:
    """Write one file that Python runs: kstats and the libraries that it needs."""
    shutil.copytree(wheel, work, ignore=shutil.ignore_patterns("*.data", "RECORD"))
    (metadata,) = work.glob("kvm_kstats-*.dist-info")
    for requirement in importlib.metadata.Distribution.at(metadata).requires or ():
        if "extra ==" not in requirement:
            copy_library(re.split(r"[^\w-]", requirement)[0], work)
    _write(work / "__main__.py", programs(DEB)["kstats"])
    date = dt.datetime.fromtimestamp(epoch(), dt.UTC).timetuple()[:6]
    with target.open("wb") as file:
        file.write(f"{SHEBANG}\n".encode())
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(file for file in work.rglob("*") if file.is_file()):
                info = zipfile.ZipInfo(path.relative_to(work).as_posix(), date)
                info.external_attr = 0o644 << 16
                archive.writestr(info, path.read_bytes(), zipfile.ZIP_DEFLATED)
    target.chmod(0o755)


def copy_library(name: str, folder: Path) -> None:
    """Copy an installed library, without its programs and bytecode."""
    for file in _files(name):
        target = folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file.locate(), target)


def _files(name: str) -> Iterator[importlib.metadata.PackagePath]:
    for file in importlib.metadata.files(name) or ():
        if ".." not in file.parts and file.suffix != ".pyc" and not file.match("*/RECORD"):
            yield file


if __name__ == "__main__":
    main()
