"""The packages, in systems made for it that contain Debian, Python and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from kstats.arch import lookup
from kstats.cli import PROGRAMS
from lab import trees
from lab.payload import ROOT
from tests import documented
from tests.packaging import made

pytestmark = pytest.mark.install

SUITES = ("bookworm", "trixie")
README_COMMAND = "kstats cpu --input examples/recordings/arm64.jsonl --total 10 1"
EXAMPLES = "usr/share/doc/kstats/examples"
MODULES = {"deb": "usr/lib/python3/dist-packages", "rpm": "usr/lib/kstats"}
ZSH = {"deb": "usr/share/zsh/vendor-completions", "rpm": "usr/share/zsh/site-functions"}
DEBIAN = {"python": "python3", "attrs": "python3-attr", "tabulate": "python3-tabulate"}
DEBIAN_DOCUMENTS = ("copyright", "changelog.Debian.gz")


def output(*words: str | Path) -> str:
    return subprocess.check_output(words, text=True, timeout=trees.SECONDS)


@pytest.fixture(scope="module", params=SUITES)
def bare(request: pytest.FixtureRequest, packages: Path, depends: str) -> Iterator[trees.Tree]:
    """Yield a system that has Python, and the packages and recordings in two folders of its root.

    The tests below install into it: first those that need nothing, then the .deb, then the .rpm.
    """
    original = trees.tree(request.param, depends)
    with (
        tempfile.TemporaryDirectory() as temporary,
        trees.copied(original, Path(temporary, request.param)) as tree,
    ):
        shutil.copytree(packages, tree.root / "packages")
        shutil.copytree(ROOT / "examples/recordings", tree.root / "recordings")
        yield tree


@pytest.fixture(scope="module")
def debian(bare: trees.Tree, packages: Path) -> trees.Tree:
    """Return the system with the .deb. What came with it is small, and not a compiler."""
    added = made.install(bare, f"/packages/{made.one(packages, 'deb').name}")
    assert {"kstats", "libbpf1", "python3-attr", "python3-tabulate"} <= added.keys()
    assert sum(added.values()) < made.MOST_KIB, added
    return bare


@pytest.fixture(scope="module")
def rpm(debian: trees.Tree, packages: Path) -> trees.Tree:
    """Return the system with the .rpm in place of the .deb; the libraries remain Debian's."""
    debian.run("dpkg", "--purge", "kstats").check_returncode()
    package = debian.root / "packages" / made.one(packages, "rpm").name
    output("rpm", "--root", debian.root, "--force-debian", "--nodeps", "-i", package)
    return debian


def check_commands(tree: trees.Tree, *kstats: str, recordings: str) -> None:
    """Check the output of what needs no KVM host; a table is in the README."""
    explained = tree.run(*kstats, "explain", "EPT_VIOLATION")
    assert explained.stdout.startswith("EPT_VIOLATION  Intel VMX, vmx:48 (0x30)\n")
    assert "HVC64" in tree.run(*kstats, "arch").stdout
    shown = tree.run(
        *kstats, "-v", "--input", f"{recordings}/arm64.jsonl", "--total", "-d", "10", "-n", "1"
    )
    expected = dict(documented.blocks(ROOT / "README.md"))[README_COMMAND]
    assert (shown.stdout, shown.stderr) == (expected, "")


def check_files(files: set[str], kind: str) -> None:
    """Check that a package has all that the checkout has, where this distribution wants it."""
    modules, zsh = MODULES[kind], ZSH[kind]
    for program in ("kstats", *PROGRAMS):
        assert f"usr/bin/{program}" in files
        assert f"usr/share/bash-completion/completions/{program}" in files
        assert f"{zsh}/_{program}" in files
        assert f"usr/share/fish/vendor_completions.d/{program}.fish" in files
    for page in (ROOT / "man").iterdir():
        assert f"usr/share/man/man{page.stem[-1]}/{page.stem}.gz" in files
    for folder in ("kstats", "bpf"):
        inside = "kstats" if folder == "kstats" else "kstats/bpf"
        for file in (ROOT / folder).rglob("*.[chp]*"):
            if file.is_file() and file.suffix != ".pyc":
                assert f"{modules}/{inside}/{file.relative_to(ROOT / folder)}" in files
    for built in (ROOT / "bpf/objects").glob("*.o.z"):
        assert f"{modules}/kstats/bpf/objects/{built.name}" in files
    for unit in (ROOT / "deploy/systemd").glob("kstats-*"):
        assert f"usr/lib/systemd/system/{unit.name}" in files
    assert "etc/kstats/kstats.conf" in files
    assert any(name.endswith("licenses/LICENSES/GPL-2.0-only.txt") for name in files)
    assert {f"usr/share/doc/kstats/{name}" for name in ("README.md", "changelog.gz")} <= files


def test_same_tree_same_bytes(packages: Path, tmp_path: Path) -> None:
    again = made.packages(tmp_path / "again", umask=0o077)
    assert {p.suffix for p in again.iterdir()} == {".deb", ".rpm", ".pyz", ".whl"}
    for package in again.iterdir():
        assert package.read_bytes() == (packages / package.name).read_bytes(), package.name


def test_archive_needs_only_python(bare: trees.Tree) -> None:
    assert "No module named 'attr'" in bare.run("python3", "-c", "import attr").stderr
    check_commands(bare, "/packages/kstats.pyz", recordings="/recordings")
    check_commands(bare, "python3", "/packages/kstats.pyz", recordings="/recordings")


def test_archive_unpacks_its_c_files_for_a_while(bare: trees.Tree) -> None:
    code = """
import sys; sys.path.insert(0, "/packages/kstats.pyz")
from pathlib import Path
from kstats import csource
folder = Path(csource.directory())
print(folder, *sorted(str(p.relative_to(folder)) for p in folder.rglob("*.[ch]")))
"""
    folder, *names = bare.run("python3", "-I", "-c", code).stdout.split()
    ours = (file.relative_to(ROOT / "bpf") for file in (ROOT / "bpf").rglob("*.[ch]"))
    assert names == sorted(map(str, ours))
    assert folder.startswith("/tmp/kstats-")  # noqa: S108 - in the system that the test made
    assert not (bare.root / folder.removeprefix("/")).exists()


def test_deb_runs(debian: trees.Tree) -> None:
    check_commands(debian, "kstats", recordings=f"/{EXAMPLES}")
    for program in PROGRAMS:
        assert debian.run(program, "--help").stdout.startswith(f"usage: {program}")


def test_deb_has_everything_in_its_place(debian: trees.Tree) -> None:
    listed = debian.run("dpkg", "-L", "kstats").stdout.splitlines()
    check_files({name.removeprefix("/") for name in listed}, "deb")
    assert {f"/usr/share/doc/kstats/{name}" for name in DEBIAN_DOCUMENTS} <= set(listed)
    configuration = debian.run("dpkg-query", "-W", "-f", "${Conffiles}", "kstats").stdout.split()
    assert configuration[::2] == ["/etc/kstats/kstats.conf"]  # each followed by its hash
    assert debian.run("dpkg", "--verify", "kstats").stdout == ""


@pytest.mark.root
@pytest.mark.parametrize("modules", ["/usr/lib/python3/dist-packages", "/packages/kstats.pyz"])
def test_programs_load_without_a_compiler(debian: trees.Tree, modules: str) -> None:
    """The kernel accepts the prebuilt objects of the package and of the archive through libbpf."""
    checkout = debian.root / "checkout/tests"
    shutil.copytree(ROOT / "tests/collector", checkout / "collector", dirs_exist_ok=True)
    shutil.copy(ROOT / "tests/__init__.py", checkout)
    code = f"""
import sys; sys.path[:0] = ["/checkout", "{modules}"]
from tests.collector import sizes
for one in sizes.programs():
    if one.view in ("kstats -v", "kstats record --all"):
        with sizes.load(one, "prebuilt") as loaded:
            print(one.machine.source.isa, loaded.loader, *sorted(loaded.programs))
"""
    loaded = debian.run("python3", "-I", "-c", code)
    assert loaded.stderr == ""
    isas = {line.split()[0] for line in loaded.stdout.splitlines()}
    assert isas == {isa.name for isa in lookup.isas()}
    assert all(" prebuilt " in line and " on_exit" in line for line in loaded.stdout.splitlines())


def test_bash_completes(debian: trees.Tree) -> None:
    script = "/usr/share/bash-completion/completions"
    for program in ("kstats", *PROGRAMS):
        command = f"source {script}/{program} && complete -p {program}"
        assert " -F " in debian.run("bash", "-c", command).stdout


def test_other_code_is_not_imported(debian: trees.Tree) -> None:
    """Neither the environment, nor the working directory, nor root's home adds modules."""
    home = debian.root / "planted"
    (version,) = (path.name for path in (debian.root / "usr/lib").glob("python3.*"))
    for folder in (home, home / f".local/lib/{version}/site-packages"):
        folder.mkdir(parents=True)
        for module in ("kstats", "attr", "json", "usercustomize"):
            (folder / f"{module}.py").write_text(f'raise SystemExit("planted {module}")\n')
    planted = {"PYTHONPATH": "/planted", "HOME": "/planted", "folder": "/planted"}

    explain = ("explain", "vmx:48")
    unprotected = debian.run("python3", "/usr/bin/kstats", *explain, **planted)
    assert "planted" in unprotected.stderr
    for program in ("kstats", "/packages/kstats.pyz", *PROGRAMS):
        words = ("--help",) if program in PROGRAMS else explain
        done = debian.run(program, *words, **planted)
        assert (done.returncode, done.stderr) == (0, "")


def test_reinstallation_keeps_the_configuration(debian: trees.Tree, packages: Path) -> None:
    """It runs the scripts of an upgrade."""
    configuration = debian.root / "etc/kstats/kstats.conf"
    with configuration.open("a") as file:
        file.write("EXPORTER_OPTIONS=--time\n")
    done = debian.run("dpkg", "-i", f"/packages/{made.one(packages, 'deb').name}")
    assert (done.returncode, done.stderr) == (0, "")
    assert configuration.read_text().endswith("EXPORTER_OPTIONS=--time\n")
    assert debian.run("kstats", "--version").returncode == 0


def test_no_bytecode_remains_after_removal(debian: trees.Tree) -> None:
    modules = debian.root / MODULES["deb"] / "kstats"
    assert list(modules.glob("__pycache__/*.pyc"))
    assert debian.run("dpkg", "--purge", "kstats").returncode == 0
    assert not modules.exists()
    assert not (debian.root / "etc/kstats").exists()


def test_rpm_runs_and_leaves_nothing(rpm: trees.Tree) -> None:
    check_commands(rpm, "kstats", recordings=f"/{EXAMPLES}")
    modules = rpm.root / MODULES["rpm"]
    assert list(modules.glob("kstats/__pycache__/*.pyc"))
    output("rpm", "--root", rpm.root, "--force-debian", "-e", "kstats")
    assert not modules.exists()


def test_rpm_has_everything_in_its_place(packages: Path) -> None:
    listed = output("rpm", "-qpl", made.one(packages, "rpm")).splitlines()
    check_files({name.removeprefix("/") for name in listed}, "rpm")
    configuration = output("rpm", "-qpc", made.one(packages, "rpm")).split()
    assert configuration == ["/etc/kstats/kstats.conf"]
    # Folders of other packages belong to these.
    assert not {"/usr", "/usr/bin", "/usr/lib/systemd", "/etc"} & set(listed)


def test_packages_declare_the_dependencies_of_the_wheel(packages: Path, depends: str) -> None:
    """Except shtab: packages contain the scripts that it writes."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    minimum = {"python": project["requires-python"].removeprefix(">=")}
    minimum |= dict(requirement.split(">=") for requirement in project["dependencies"])
    del minimum["shtab"]
    assert set(depends.split(", ")) == {
        *(f"{DEBIAN[name]} (>= {version})" for name, version in minimum.items()),
        "libbpf1",
    }
    required = output("rpm", "-qp", "--requires", made.one(packages, "rpm")).splitlines()
    assert {line for line in required if not line.startswith("rpmlib(")} == {
        f"python3 >= {minimum.pop('python')}",
        *(f"python3dist({name}) >= {version}" for name, version in minimum.items()),
        "libbpf.so.1()(64bit)",
    }
