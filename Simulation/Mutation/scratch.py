"""A copy of the sources in which every mutant is compiled in, switched by a number in the environment."""

import json
import pathlib
import re
import subprocess

PACKAGE = "mutants"
VARIABLE = "MUTANT"
SWITCH_FILE = "MutantSwitch.swift"
SWITCH = """import MutantSwitch

@inline(__always) func isMutant(_ number: Int32) -> Bool { mutantSwitchIs(number) }
"""
# In C, because a global of Swift's is initialized at its first use: every question would ask first whether that was.
SWITCH_FOLDER = "MutantSwitch"
SWITCH_MODULE = {
    "include/MutantSwitch.h": """#include <stdbool.h>

extern int mutantSwitchChosen;

__attribute__((always_inline)) static inline bool mutantSwitchIs(int number) { return mutantSwitchChosen == number; }
""",
    "MutantSwitch.c": f"""#include "MutantSwitch.h"
#include <stdlib.h>

int mutantSwitchChosen = 0;

__attribute__((constructor)) static void mutantSwitchRead(void) {{
    const char *text = getenv("{VARIABLE}");
    mutantSwitchChosen = text ? atoi(text) : 0;
}}
""",
}
ERROR = re.compile(r"^(/.*?\.swift):(\d+):\d+: error: (.*)$", re.MULTILINE)
ROUNDS_MAX = 60


class BuildFailed(Exception):
    """The copy does not compile, and no mutant is to blame."""


def run(command, **options):
    return subprocess.run(command, text=True, capture_output=True, check=False, **options)


class Manifest:
    """The package as SwiftPM reads it."""

    def __init__(self, root):
        self.root = root
        done = run(["swift", "package", "--package-path", str(root), "dump-package"])
        if done.returncode != 0:
            raise BuildFailed(f"cannot read {root}/Package.swift: {done.stderr.strip()}")
        self.package = json.loads(done.stdout)
        self.targets = {target["name"]: target for target in self.package["targets"]}

    def folder(self, name):
        target = self.targets[name]
        return target.get("path") or ("Tests/" if target["type"] == "test" else "Sources/") + name

    def needed(self, names):
        """The targets that `names` are built from, themselves included."""
        found, waiting = [], list(names)
        while waiting:
            name = waiting.pop()
            if name in found:
                continue
            found.append(name)
            for dependency in self.targets[name]["dependencies"]:
                if "byName" in dependency:
                    waiting.append(dependency["byName"][0])
        return [target["name"] for target in self.package["targets"] if target["name"] in found]

    def text(self, names, switched):
        """A manifest of only `names`, with the same language settings; warnings are no errors here. The modules in
        `switched` have mutants."""
        identities = set()
        lines = [f'    .target(name: "{SWITCH_FOLDER}", path: "{SWITCH_FOLDER}"),']
        for name in names:
            target = self.targets[name]
            folder = self.folder(name)
            if target["type"] == "system":
                library = f', pkgConfig: "{target["pkgConfig"]}"' if "pkgConfig" in target else ""
                lines.append(f'    .systemLibrary(name: "{name}", path: "{folder}"{library}),')
                continue
            needs = []
            for dependency in target["dependencies"]:
                if "product" in dependency:
                    identities.add(dependency["product"][1])
                    needs.append('.product(name: "{}", package: "{}")'.format(*dependency["product"][:2]))
                else:
                    needs.append(f'"{dependency["byName"][0]}"')
            if name in switched:
                needs.append(f'"{SWITCH_FOLDER}"')
            features = [
                f'.enableUpcomingFeature("{setting["kind"]["enableUpcomingFeature"]["_0"]}")'
                for setting in target["settings"] if "enableUpcomingFeature" in setting["kind"]
            ]
            kind = {"test": "testTarget", "executable": "executableTarget"}.get(target["type"], "target")
            exclude = "".join(f'"{path}", ' for path in target["exclude"])
            lines.append(
                f'    .{kind}(name: "{name}", dependencies: [{", ".join(needs)}], path: "{folder}", '
                f'exclude: [{exclude}], swiftSettings: [{", ".join(features)}]),')
        packages = []
        for dependency in self.package["dependencies"]:
            source = dependency["sourceControl"][0]
            if source["identity"] in identities:
                lowest = source["requirement"]["range"][0]["lowerBound"]
                url = source["location"]["remote"][0]["urlString"]
                packages.append(f'    .package(url: "{url}", from: "{lowest}"),')
        return "\n".join(
            ["// swift-tools-version: 6.2", "import PackageDescription", "", "let package = Package(",
             f'    name: "{PACKAGE}",', "    dependencies: [", *packages, "    ],", "    targets: [", *lines, "    ])", ""])


def write(path, text):
    """Leaves a file alone that says the same already: the build then does nothing for it."""
    if path.exists() and path.read_text() == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


class Scratch:
    """The copy, its build and the mutants in it. `mutants` maps a number, from 1, to its site."""

    def __init__(self, root, folder, modules, tests, programs, jobs):
        self.tree = folder / "tree"
        self.build_path = folder / "build"
        self.modules = modules
        self.jobs = jobs
        self.mutants = {}
        manifest = Manifest(root)
        names = manifest.needed([*modules, *tests, *programs])
        # The test targets that may notice a mutant of a module, its own first.
        self.tests_of = {
            module: sorted(
                (test for test in tests if module in manifest.needed([test])),
                key=lambda test: (test != f"{module}Tests", tests.index(test)))
            for module in modules
        }
        self.originals = {}
        for name in names:
            for path in sorted((root / manifest.folder(name)).rglob("*")):
                if path.is_file():
                    self.originals[str(path.relative_to(root))] = path.read_text()
        self.switches = [f"{manifest.folder(module)}/{SWITCH_FILE}" for module in modules]
        self.sources = {
            module: [
                path for path in self.originals
                if path.startswith(manifest.folder(module) + "/") and path.endswith(".swift")
            ]
            for module in modules
        }
        self.manifest = manifest.text(names, modules)
        resolved = root / "Package.resolved"
        self.resolved = resolved.read_text() if resolved.exists() else None

    def lay_out(self):
        """Writes what is the same for all mutants, and takes away what an earlier sample left."""
        write(self.tree / "Package.swift", self.manifest)
        for path, text in SWITCH_MODULE.items():
            write(self.tree / SWITCH_FOLDER / path, text)
        if self.resolved and not (self.tree / "Package.resolved").exists():
            write(self.tree / "Package.resolved", self.resolved)
        kept = {*self.originals, *self.switches, "Package.swift"}
        for path in list(self.tree.rglob("*.swift")):
            if str(path.relative_to(self.tree)) not in kept:
                path.unlink()

    def apply(self):
        by_path = {}
        for number, site in self.mutants.items():
            by_path.setdefault(site.path, []).append((number, site))
        for path, text in self.originals.items():
            lines = text.split("\n")
            for number, site in by_path.get(path, []):
                line = lines[site.line - 1]
                lines[site.line - 1] = (
                    line[:site.start] + site.switched(f"isMutant({number})") + line[site.end:])
            write(self.tree / path, "\n".join(lines))
        for path in self.switches:
            write(self.tree / path, SWITCH)

    def build(self, log):
        """Compiles; takes mutants out until it works. Returns the numbers of those."""
        removed = []
        self.lay_out()
        for _ in range(ROUNDS_MAX):
            self.apply()
            done = run(
                ["swift", "build", "--package-path", str(self.tree), "--scratch-path", str(self.build_path),
                 "--configuration", "release", "--build-tests", "--jobs", str(self.jobs),
                 "-Xswiftc", "-enable-testing", "-Xswiftc", "-suppress-warnings"])
            if done.returncode == 0:
                return removed
            output = done.stdout + done.stderr
            guilty = self.guilty(output)
            if not guilty:
                raise BuildFailed("the copy does not compile:\n" + "\n".join(output.splitlines()[-40:]))
            log(f"{len(guilty)} mutants do not compile and are left out")
            for number in guilty:
                del self.mutants[number]
            removed += sorted(guilty)
        raise BuildFailed(f"still errors after {ROUNDS_MAX} rounds")

    def guilty(self, output):
        """The mutants on the lines of the compiler's errors, or nearest to them."""
        found = set()
        tree = str(self.tree.resolve()) + "/"
        for match in ERROR.finditer(output):
            path, line = match.group(1).removeprefix(tree), int(match.group(2))
            near = sorted(
                (abs(site.line - line), number) for number, site in self.mutants.items() if site.path == path)
            # An error elsewhere (something is used before it is initialized) comes from the next mutant above or below.
            if near:
                found.add(near[0][1])
        return found

    def program(self, name):
        return self.build_path / "release" / name

    @property
    def test_program(self):
        return self.build_path / "release" / f"{PACKAGE}PackageTests.xctest"


def folder_of(root):
    return pathlib.Path(root) / ".build-mutants" / "generic"
