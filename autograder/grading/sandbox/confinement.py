"""Confine the calling process for ever, before it runs a line that a student wrote."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.grading.sandbox import landlock, limits, seccomp, session, user
from autograder.grading.sandbox.kernel import machine, prctl, why_not_here
from autograder.grading.sandbox.readable import library_folders, readable_by_default

_SET_NO_NEW_PRIVS = 38
PROC, ITSELF = "/proc", "/proc/self"

# The names of the layers, in the order in which they are put in force.
SESSION = "own session"
USER = "own user"
LIMITS = "resource limits"
CAPABILITIES = "no capabilities"
NO_NEW_PRIVS = "no new privileges"
DESCRIPTORS = "no inherited descriptors"
HIDDEN = "hidden from siblings"
LANDLOCK = "landlock"
SECCOMP = "seccomp"
LAYERS = (
    SESSION, USER, LIMITS, CAPABILITIES, NO_NEW_PRIVS, DESCRIPTORS, HIDDEN, LANDLOCK, SECCOMP
)  # fmt: skip
REQUIRED = frozenset({LIMITS, NO_NEW_PRIVS, LANDLOCK, SECCOMP})


class SandboxError(Exception):
    """A process that cannot be confined as asked; the message is a sentence.

    After it the process may be confined in part, and must run nothing of a student's.
    """


@dataclass(frozen=True)
class Layer:
    """One layer of the confinement, and whether it holds."""

    name: str
    in_force: bool
    detail: str

    def as_json(self) -> dict[str, Any]:
        """The form in which reports show it."""
        return {"layer": self.name, "in_force": self.in_force, "detail": self.detail}


@dataclass(frozen=True)
class Policy:
    """What a confined process may do. All else is denied."""

    scratch: Path
    """The one folder to write in."""
    readable: tuple[Path, ...]
    """Files, and folders with all that is in them."""
    cpu_seconds: int
    memory_bytes: int
    """Address space, beyond what is mapped when it is confined."""
    processes: int
    """How many further processes may exist at once; 0 forbids to start any."""
    files: int
    """Open descriptors."""
    file_bytes: int
    """The size of one file."""
    executable: bool = False
    """Whether it may run the programs among ``readable``."""
    threads: int = 64
    """How many further threads may exist at once."""
    descriptors: tuple[int, ...] = (0, 1, 2)
    """The descriptors that it keeps."""
    accepting: bool = False
    """Whether it may accept connections on listening sockets among ``descriptors``.

    It still makes no socket, binds none and connects to nothing.
    """
    listable: tuple[Path, ...] = ()
    """Folders of which the names may be listed, with all that is in them; not what is in files."""
    slot: int | None = None
    """Chooses the user where the grader is root; processes that run at once get different ones.

    None takes the number of the process.
    """


@dataclass(frozen=True)
class Prepared:
    """A policy with all that can be found out once, in the process that forks."""

    policy: Policy
    required: frozenset[str]
    # What may be read; the scratch folder and what every process may write to come on top.
    readable: tuple[landlock.Grant, ...]
    abi: int
    own: user.Own
    why_no_user: str
    # Of children that share the rules about what is readable: their descriptor, and what a child's
    # own rules have beside its scratch folder. See ``sharing``.
    rules: int | None = None
    around: tuple[landlock.Grant, ...] = ()

    def sharing(self, above: Path) -> Prepared:
        """The same with the rules that every child needs made now, once for all of them.

        ``above`` is a folder that holds the scratch folders of all children.

        Rules cannot be changed for one child, but a child can have two sets of them, of which both
        must grant. The shared ones grant what is readable, all of ``above``, and to read all of
        /proc. In these two, a child's own ones grant its scratch folder and the files about itself;
        everywhere else they are wide.
        """
        if not self.abi:
            return self
        folder = os.path.realpath(above)
        of_itself = tuple(grant for grant in self.readable if _is_of_itself(grant.path))
        of_all = tuple(grant for grant in self.readable if not _is_of_itself(grant.path))
        shared = [*of_all, landlock.Grant(folder, landlock.SCRATCH), *self._null()]
        if of_itself:
            shared.append(landlock.Grant(PROC, landlock.READ))
        self._filter()  # remembered
        around = landlock.around(of_all, (folder, PROC))
        return dataclasses.replace(
            self, rules=landlock.ruleset(shared, self.abi), around=(*around, *of_itself)
        )

    def within(self, scratch: Path, descriptors: tuple[int, ...]) -> Prepared:
        """The same for another scratch folder, which lies as deep, and other descriptors."""
        policy = dataclasses.replace(self.policy, scratch=scratch, descriptors=descriptors)
        return dataclasses.replace(self, policy=policy)

    def apply(self) -> list[Layer]:
        """Confine the calling process for ever; the layers, in the order of ``LAYERS``.

        Raises ``SandboxError`` when a required layer is missing.
        """
        _require_one_thread()
        parent, layers = os.getppid(), _Layers(self.required)
        policy = self.policy
        with layers.add(SESSION):
            session.start_session()
        with layers.add(USER, self.own.value, self.why_no_user):
            slot = os.getpid() if policy.slot is None else policy.slot
            user.enter(self.own, slot, policy.scratch)
        os.umask(0o077)
        with layers.add(LIMITS, "CPU, memory, threads, descriptors, file size"):
            limits.limit(
                cpu_seconds=policy.cpu_seconds,
                memory_bytes=policy.memory_bytes,
                tasks=self._tasks(),
                files=policy.files,
                file_bytes=policy.file_bytes,
            )
        with layers.add(CAPABILITIES):
            user.drop(self.own, executable=policy.executable)
        with layers.add(NO_NEW_PRIVS):
            prctl(_SET_NO_NEW_PRIVS, 1)
        with layers.add(DESCRIPTORS):
            rules = () if self.rules is None else (self.rules,)
            session.keep_only((*policy.descriptors, *rules))
        # A change of user undoes both, so they come after it.
        with layers.add(HIDDEN):
            session.hide()
            session.die_with(parent)
        missing = "" if self.abi else "the kernel has no Landlock, or it is switched off"
        with layers.add(LANDLOCK, landlock.describe(self.abi), missing):
            readable = self.readable if self.rules is None else self.around
            own = landlock.ruleset((*readable, *self._writable()), self.abi)
            for each in (*rules, own):
                landlock.enforce(each)
        # Last, since it forbids the calls that put the others in force.
        with layers.add(SECCOMP):
            seccomp.install(self._filter().fitted(os.getpid()))
        return layers.found

    def _filter(self) -> seccomp.Filter:
        policy = self.policy
        return _filter(policy.processes > 0, policy.executable, policy.accepting, self.abi)

    def _writable(self) -> Iterator[landlock.Grant]:
        yield landlock.grant(os.path.realpath(self.policy.scratch), landlock.SCRATCH)
        yield from self._null()

    @staticmethod
    def _null() -> Iterator[landlock.Grant]:
        yield landlock.grant(os.devnull, landlock.READ_FILE | landlock.WRITE_FILE)

    def _tasks(self) -> int:
        """The limit on threads, which the kernel counts for each user and not for each process."""
        counted_anew = self.own is not user.Own.NONE
        others = 1 if counted_anew else limits.tasks_of_user()
        return others + self.policy.threads + self.policy.processes


def _require_one_thread() -> None:
    try:
        threads = len(os.listdir("/proc/self/task"))
    except OSError as error:
        raise SandboxError(f"A process cannot count its threads: {error}.") from error
    if threads > 1:
        names = ", ".join(thread.name for thread in threading.enumerate())
        raise SandboxError(
            "A process is confined before it starts threads, since a thread that runs already "
            f"would stay free; this one has {threads} (known to Python: {names})."
        )


class _Layers:
    def __init__(self, required: frozenset[str]) -> None:
        self._required = required
        self.found: list[Layer] = []

    @contextlib.contextmanager
    def add(self, name: str, detail: str = "", missing: str = "") -> Iterator[None]:
        """Record a layer; an ``OSError`` in the block, or a reason in ``missing``, is its absence.

        Raises ``SandboxError`` when it is absent and required.
        """
        try:
            yield
        except OSError as error:
            missing = missing or str(error)
        self.found.append(Layer(name, not missing, missing or detail))
        if missing and name in self._required:
            raise SandboxError(f"The layer {name!r} of the confinement is missing: {missing}.")


def prepare(policy: Policy, required: frozenset[str] = REQUIRED) -> Prepared:
    """Look up what ``policy`` names and what this machine can do; changes nothing here.

    Call it in the process that forks, and ``apply`` in the child. Raises ``SandboxError`` when the
    policy names what is not there, or the machine cannot confine.
    """
    if reason := why_not_here():
        raise SandboxError(reason)
    if unknown := required - set(LAYERS):
        raise SandboxError(f"There is no layer {sorted(unknown)[0]!r}; there are {LAYERS}.")
    if not policy.scratch.is_dir():
        raise SandboxError(f"The scratch folder {policy.scratch} is not a folder.")
    grants = _grants(policy.readable, policy.executable, policy.listable)
    scratch = os.path.realpath(policy.scratch)
    own, why_no_user = _choose_user(os.geteuid(), os.path.dirname(scratch), scratch, grants)
    return Prepared(policy, required, grants, landlock.abi(), own, why_no_user)


def confine(policy: Policy, required: frozenset[str] = REQUIRED) -> list[Layer]:
    """``prepare`` and ``apply`` in one, in the calling process."""
    return prepare(policy, required).apply()


@functools.lru_cache(maxsize=64)
def _grants(
    readable: tuple[Path, ...], executable: bool, listable: tuple[Path, ...]
) -> tuple[landlock.Grant, ...]:
    """The rights on what may be read, by real path; Python's own folders may be listed always."""
    rights = landlock.READ | (landlock.EXECUTE if executable else 0)
    grants = [
        landlock.grant(str(path), landlock.READ_DIR)
        for path in (*library_folders(), *listable)
        if os.access(path, os.R_OK)
    ]
    for path in readable:
        if not os.path.exists(path):
            raise SandboxError(f"The policy lets read {path}, which is not there.")
        # Each process means itself by it, so it is looked up by the process that is confined.
        real = str(path) if _is_of_itself(str(path)) else os.path.realpath(path)
        grants.append(landlock.grant(real, rights))
    return tuple(grants)


def _is_of_itself(path: str) -> bool:
    """Does ``path`` mean another file for each process?"""
    return Path(path).is_relative_to(ITSELF)


@functools.lru_cache(maxsize=64)
def _filter(processes: bool, executable: bool, accepting: bool, abi: int) -> seccomp.Filter:
    rules = seccomp.rules(
        pid=seccomp.NOBODY,
        processes=processes,
        executable=executable,
        accepting=accepting,
        signals_scoped=abi >= landlock.SCOPE_ABI,
        truncation_covered=abi >= landlock.TRUNCATE_ABI,
    )
    return seccomp.Filter.of(seccomp.program(rules, machine()))


_CHOSEN: dict[tuple[Any, ...], tuple[user.Own, str]] = {}


def _choose_user(
    euid: int, above: str, scratch: str, grants: tuple[landlock.Grant, ...]
) -> tuple[user.Own, str]:
    """``user.choose``, remembered for notebooks that differ in the scratch folder alone."""
    key = (euid, above, grants)
    if key not in _CHOSEN:
        needed = [grant.path for grant in grants if not _is_of_itself(grant.path)]
        _CHOSEN[key] = user.choose(Path(scratch), needed, _attempt)
    return _CHOSEN[key]


def _attempt(function: Callable[[], None]) -> str:
    """Run ``function`` in a throw-away process; "" or why it failed."""

    def run(_: int) -> str:
        try:
            function()
        except Exception as error:
            return str(error) or type(error).__name__
        return ""

    return _in_child(run)


def _in_child(function: Callable[[int], str]) -> str:
    """The text that ``function`` returns when it runs in a forked process that ends after it.

    It gets the descriptor through which the text goes.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.write(writing, function(writing).encode()[:60000])
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    return text if status == 0 else f"the process that tried it ended with status {status}"


def available() -> list[Layer]:
    """Which layers this machine can put in force, tried out in a throw-away process."""
    if reason := why_not_here():
        return [Layer(name, False, reason) for name in LAYERS]
    with tempfile.TemporaryDirectory(prefix="autograder-") as scratch:
        policy = Policy(
            scratch=Path(scratch),
            readable=readable_by_default(),
            cpu_seconds=10,
            memory_bytes=2**30,
            processes=0,
            files=64,
            file_bytes=2**20,
        )
        prepared = prepare(policy, frozenset())
        text = _in_child(functools.partial(_try_out, prepared))
    try:
        found = json.loads(text)
    except ValueError:
        return [Layer(name, False, text) for name in LAYERS]
    return [Layer(entry["layer"], entry["in_force"], entry["detail"]) for entry in found]


def _try_out(prepared: Prepared, descriptor: int) -> str:
    """The layers as JSON, after a look at whether the two that deny do so."""
    policy = dataclasses.replace(prepared.policy, descriptors=(descriptor,))
    layers = dataclasses.replace(prepared, policy=policy).apply()
    forbidden: dict[str, Callable[[], object]] = {
        LANDLOCK: functools.partial(os.listdir, "/"),
        SECCOMP: functools.partial(socket.socket, socket.AF_INET, socket.SOCK_DGRAM),
    }
    for i, layer in enumerate(layers):
        if layer.in_force and layer.name in forbidden:
            try:
                forbidden[layer.name]()
            except PermissionError:
                continue
            reason = "the kernel takes the rules and does not enforce them"
            layers[i] = Layer(layer.name, False, reason)
    return json.dumps([layer.as_json() for layer in layers])
