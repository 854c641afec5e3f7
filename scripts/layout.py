#!/usr/bin/env python3
"""Writes link/layout.ld again: which functions of the release build run when Muster probes.

    scripts/layout.py            needs valgrind and some minutes

Runs the bench program's prober under callgrind, looks in the linker's map for the section of each function that ran,
and writes them as patterns. The patterns leave out the compiler's hashes, so that they outlive most changes of the code,
and name the crate whose object file the function is in, since a generic one is compiled again in each crate.
"""

import collections
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
PROBES = "100"
SECONDS = 20
# A whole module is named if what does not run of it is at most as large as what does.
MOST_COLD = 1.0
HASH = re.compile(r"17h[0-9a-f]{16}E.*$")
IN_MAP = re.compile(r"^\s*[0-9a-f]+\s+[0-9a-f]+\s+([0-9a-f]+)\s+\d+\s+(\S.*):\((\.text\.(?:unlikely\.)?)(\S+)\)$")
CRATE = re.compile(r"^[^.]+\.([A-Za-z0-9_]+)-[0-9a-f]{16}\.")

HEAD = """\
/* Written by scripts/layout.py: functions that run when Muster probes, beside one another instead of all over the code.
   The kernel maps code in pieces of 64 KiB, so that scattered functions keep most of the program resident. A line that
   is no longer true does no harm: the function stays where it was. */
SECTIONS
{
  .text.hot :
  {
"""
TAIL = """\
  }
}
INSERT BEFORE .text;
"""


def build(link_map):
    subprocess.run(
        ["cargo", "rustc", "-q", "--release", "-p", "muster-tests", "--bin", "bench", "--"]
        + ["-C", f"link-arg=-Wl,-Map={link_map}"],
        cwd=ROOT,
        check=True,
    )
    return TARGET / "release" / "bench"


def profile(bench, out):
    """Functions that ran, by their symbols."""
    server = subprocess.Popen([bench, "role", "server"], stdout=subprocess.PIPE, text=True)
    address = server.stdout.readline().strip()
    command = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}", "--demangle=no"]
    prober = subprocess.Popen(command + [bench, "role", "prober", address, PROBES], stdin=subprocess.PIPE)
    time.sleep(SECONDS)
    prober.send_signal(signal.SIGTERM)
    prober.wait()
    server.kill()
    names, ran = {}, set()
    for line in open(out):
        match = re.match(r"^c?fn=\((\d+)\)(?: (.*))?$", line.rstrip())
        if match:
            number, name = match.groups()
            if name:
                names[number] = re.sub(r"'\d+$", "", name)
            if line.startswith("fn="):
                ran.add(names[number])
    return ran


def sections(link_map):
    """Crate, section, symbol and size of each function."""
    for line in open(link_map):
        match = IN_MAP.match(line.rstrip())
        crate = match and CRATE.match(match[2].rsplit("/", 1)[-1])
        if crate:
            yield crate[1], match[3], match[4], int(match[1], 16)


def without_hashes(symbol):
    if symbol.startswith("_R"):
        return re.sub(r"Cs[0-9A-Za-z]+_", "Cs*_", re.sub(r"\.llvm\.\d+$", "", symbol)) + "*"
    return HASH.sub("17h", symbol)


def prefixes(symbol):
    """`_ZN5hyper`, `_ZN5hyper5proto`, ... of a mangled path."""
    found, at = [], 3
    while symbol.startswith("_ZN") and (length := re.match(r"\d+", symbol[at:])) and symbol[at:] != "17h":
        at += len(length[0]) + int(length[0])
        found.append(symbol[:at] + "*")
    return found + [symbol + "*" if symbol.endswith("17h") else symbol]


def patterns(found, ran):
    """The shortest prefixes that hold little else than what ran, by crate."""
    size, hot, below = collections.Counter(), collections.Counter(), collections.defaultdict(set)
    for crate, prefix, symbol, length in found:
        above = (crate, prefix)
        for part in prefixes(without_hashes(symbol)):
            node = (crate, prefix + part)
            below[above].add(node)
            size[node] += length
            hot[node] += length if symbol in ran else 0
            above = node

    def choose(node):
        if hot[node] and (not below[node] or size[node] - hot[node] <= hot[node] * MOST_COLD):
            yield node
        elif hot[node]:
            for child in sorted(below[node]):
                yield from choose(child)

    tops = sorted({(crate, prefix) for crate, prefix, _, _ in found})
    chosen = [node for top in tops for child in sorted(below[top]) for node in choose(child)]
    told = sum(size[node] for node in chosen), sum(hot[node] for node in chosen)
    print(f"{len(chosen)} patterns for {told[0]} bytes, {told[1]} of them ran", file=sys.stderr)
    return chosen


def main():
    with tempfile.TemporaryDirectory() as folder:
        link_map = pathlib.Path(folder) / "map"
        bench = build(link_map)
        ran = profile(bench, pathlib.Path(folder) / "profile")
        chosen = patterns(list(sections(link_map)), ran)
    by_crate = collections.defaultdict(list)
    for crate, pattern in chosen:
        by_crate[crate].append(pattern)
    with open(ROOT / "link" / "layout.ld", "w") as out:
        out.write(HEAD)
        for crate, lines in sorted(by_crate.items()):
            out.write(f"    *.{crate}-*(\n")
            out.writelines(f"      {line}\n" for line in lines)
            out.write("    )\n")
        out.write(TAIL)


if __name__ == "__main__":
    main()
