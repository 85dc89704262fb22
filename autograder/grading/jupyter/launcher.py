"""The kernel's process: listen, confine, and only then load IPython. ``python -P -m`` starts it.

The sockets lie in a folder of the grader's, in which the confined process can do nothing. They are
made before it is confined, so that it needs no right to make, bind or connect one: it accepts
connections on those five, and that is all.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

CHANNELS = ("shell", "iopub", "stdin", "control", "hb")
# Connections that wait to be accepted; one client has five or six.
BACKLOG = 16


def main() -> None:
    """Start a kernel as the connection file and the order in ``sys.argv`` say."""
    info = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    order = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    listening = {info[f"{channel}_port"]: _listen(info, channel) for channel in CHANNELS}
    report = os.open(order["report"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        _confine(order, [*listening.values(), report])
    except Exception as error:
        os.write(report, f"{error}\n".encode())
        os._exit(1)
    os.environ.update(order["environment"])
    try:
        app = _kernel(info, listening, sys.argv[3:])
        _bound_output(app.shell, order["most_printed"])
    except BaseException as error:
        os.write(report, f"{type(error).__name__}: {error}\n".encode())
        raise
    os.close(report)
    app.start()


def _listen(info: dict[str, Any], channel: str) -> int:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    sock.bind(f"{info['ip']}-{info[f'{channel}_port']}")
    sock.listen(BACKLOG)
    return sock.detach()


def _confine(order: dict[str, Any], keep: list[int]) -> None:
    from autograder.grading.sandbox import Policy, confine

    policy = Policy(
        scratch=Path(order["scratch"]),
        readable=tuple(Path(name) for name in order["readable"]),
        cpu_seconds=order["cpu_seconds"],
        memory_bytes=order["memory_bytes"],
        processes=order["processes"],
        files=order["files"],
        file_bytes=order["file_bytes"],
        executable=True,
        accepting=True,
        descriptors=(0, 1, 2, *keep),
    )
    confine(policy, frozenset(order["required"]))


def _kernel(info: dict[str, Any], listening: dict[int, int], arguments: list[str]) -> Any:
    """IPython's kernel, on sockets that exist already."""
    import zmq
    from ipykernel.heartbeat import Heartbeat
    from ipykernel.iostream import IOPubThread
    from ipykernel.ipkernel import IPythonKernel
    from ipykernel.kernelapp import IPKernelApp
    from ipykernel.zmqshell import ZMQInteractiveShell

    class Shell(ZMQInteractiveShell):
        """``!command`` through a pipe, since a confined process gets no terminal."""

        def system_piped(self, cmd: str) -> None:
            if cmd.rstrip().endswith("&"):
                raise OSError("Background processes not supported.")
            words = [os.environ.get("SHELL", "/bin/sh"), "-c", self.var_expand(cmd, depth=1)]
            self.user_ns["_exit_code"] = _show_output(words)

        system = system_piped

    class Kernel(IPythonKernel):
        shell_class = Shell

    class Heart(Heartbeat):
        def _try_bind_socket(self) -> None:
            self.socket.setsockopt(zmq.USE_FD, listening[self.port])
            super()._try_bind_socket()

    class App(IPKernelApp):
        kernel_class = Kernel

        def init_connection_file(self) -> None:
            """Nothing to do: its content was read before the file came out of reach."""

        def write_connection_file(self, **kwargs: Any) -> None:
            """Nothing to do: the grader wrote it."""

        def _try_bind_socket(self, s: Any, port: int) -> int:
            s.setsockopt(zmq.USE_FD, listening[port])
            super()._try_bind_socket(s, port)
            return port

        def init_control(self, context: Any) -> None:
            super().init_control(context)
            # For a debugger only; it may not connect and would try for ever.
            endpoint = self.shell_socket.getsockopt(zmq.LAST_ENDPOINT)
            with contextlib.suppress(zmq.ZMQError):
                self.debug_shell_socket.disconnect(endpoint)

        def init_iopub(self, context: Any) -> None:
            self.iopub_socket = context.socket(zmq.XPUB)
            self.iopub_socket.linger = 1000
            self.iopub_port = self._bind_socket(self.iopub_socket, self.iopub_port)
            # No pipe for forked processes: it would be a TCP socket. See _print_in_forks.
            self.iopub_thread = IOPubThread(self.iopub_socket, False, self.session)
            self.iopub_thread.start()
            self.iopub_socket = self.iopub_thread.background_socket

        def init_heartbeat(self) -> None:
            self.heartbeat = Heart(zmq.Context(), (self.transport, self.ip, self.hb_port))
            self.heartbeat.start()

        def init_path(self) -> None:
            """As IPython does where Python was not told to leave the working directory out."""
            places = [i for i, path in enumerate(sys.path) if path.endswith("-packages")]
            sys.path.insert(places[0] if places else len(sys.path), "")

    app = App.instance()
    app.transport, app.ip = info["transport"], info["ip"]
    for channel in CHANNELS:
        setattr(app, f"{channel}_port", info[f"{channel}_port"])
    app.session.key = info["key"].encode()
    app.session.signature_scheme = info["signature_scheme"]
    app.initialize(arguments)
    os.register_at_fork(after_in_child=_print_in_forks)
    return app


class OutputLimitError(Exception):
    """A cell printed more than it may."""


def _bound_output(shell: Any, most: int) -> None:
    """End a cell that prints without end by an error, before its client has to interrupt it.

    It is a service to those who mean no harm: a flood would fill both processes. The grader has a
    limit of its own.
    """
    printed = 0

    def begin(info: Any) -> None:
        nonlocal printed
        printed = 0

    def bounded(write: Any) -> Any:
        def count(string: str) -> Any:
            nonlocal printed
            printed += len(string)
            if printed > most:
                raise OutputLimitError(f"The cell wrote more than {most:,} characters.")
            return write(string)

        return count

    shell.events.register("pre_run_cell", begin)
    for stream in (sys.stdout, sys.stderr):
        setattr(stream, "write", bounded(stream.write))  # noqa: B010


def _print_in_forks() -> None:
    """A forked process prints to the plain descriptor, which the kernel reads at its other end."""
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)


def _show_output(words: list[str]) -> int:
    """Run a program and pass on what it prints while it runs; its exit code."""
    with subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                sys.stdout.write(line)
        except KeyboardInterrupt:
            process.kill()
            raise
    return process.returncode


if __name__ == "__main__":
    main()
