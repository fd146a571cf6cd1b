"""What a run was made on, in words for its report."""

import os
import platform
import subprocess


def machine():
    with open("/proc/cpuinfo") as info:
        model = next((line.split(":")[1].strip() for line in info if line.startswith("model name")), platform.machine())
    return f"{os.cpu_count()} × {model}, Linux {platform.release().split('-')[0]}"


def etcd():
    said = subprocess.run(["etcd", "--version"], capture_output=True, text=True).stdout
    return said.splitlines()[0].lower()
