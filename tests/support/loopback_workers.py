"""Several worker processes on this machine that find each other by TF_CONFIG."""

import json
import socket
import subprocess
import sys
from typing import Any

from support import small


def free_ports(num: int) -> list[int]:
    sockets = [socket.socket() for _ in range(num)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def start(num: int, *arguments: Any) -> list[subprocess.Popen[str]]:
    """Starts Python with the same arguments as each of the workers."""
    hosts = [f"127.0.0.1:{port}" for port in free_ports(num)]
    processes = []
    for index in range(num):
        task = {"type": "worker", "index": index}
        config = json.dumps({"cluster": {"worker": hosts}, "task": task})
        processes.append(
            subprocess.Popen(
                [sys.executable, *map(str, arguments)],
                env={**small.environment(), "TF_CONFIG": config, "COLUMNS": "200"},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    return processes


def finish(
    processes: list[subprocess.Popen[str]], timeout: float = 300
) -> list[tuple[int, str]]:
    """Waits for all, and returns exit status and output of each."""
    try:
        outputs = [process.communicate(timeout=timeout)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(p.returncode, out) for p, out in zip(processes, outputs, strict=True)]


def results(processes: list[subprocess.Popen[str]]) -> list[list[dict[str, Any]]]:
    """What each worker printed behind the word RESULT; all must end well."""
    finished = finish(processes)
    for status, output in finished:
        assert status == 0, output[-4000:]
    return [
        [json.loads(s[7:]) for s in output.splitlines() if s.startswith("RESULT")]
        for _, output in finished
    ]
