# SPDX-License-Identifier: MIT
"""A zygote: loads the adapter once and is forked for each worker.

What a fork cannot copy must not be there: threads other than the first, and sockets,
pipes and the like, which all workers would share. They are looked for when everything
is loaded, and the message says which module has them, for their number is looked at
around every import. Files are fine: each worker opens them anew, where they stood.
"""

import gc
import os
import sys
import time

from . import _worker

_OPENED_ANEW = os.O_ACCMODE | os.O_APPEND | os.O_NONBLOCK | os.O_SYNC | os.O_DIRECTORY
_FIRST = 7  # the numbers below are a worker's own
_LOOKS = 200  # at most, for a thread that was joined and is not gone yet

_inherited = []  # file objects that were there at the fork
_open = {}  # and files: {number: path}
_kept = []  # what each worker would have to take to pieces


class CannotFork(RuntimeError):
    """The adapter cannot be forked: it has threads or connections once it is loaded."""


CannotFork.__module__ = "snakepit_bridge"


def _descriptors():
    """{number: what it is} of what user code has open."""
    found = {}
    for name in _numbers():
        if int(name) >= _FIRST:
            try:
                found[int(name)] = os.readlink("/proc/self/fd/" + name)
            except OSError:
                pass  # that of the listing
    return found


def _numbers():
    """The numbers of what is open, and of this listing: those of the time before unless
    something has been opened or closed, for a third of what a look at each costs."""
    return os.listdir("/proc/self/fd")


class Watch:
    """Notes during which import, or by which module, threads and descriptors came."""

    def __init__(self):
        self.importing = []
        self.threads = _worker.zygote_threads()
        self.descriptors = set(_descriptors())
        self._numbers = _numbers()
        self.threads_of = {}  # module: how many more there were after its import
        self.opened_by = {}  # descriptor: module
        self.starters = {}  # Thread: the module that started it
        self._restore = []

    def look(self):
        """Blame what is new on the module that is being imported."""
        here = self.importing[-1] if self.importing else None
        threads = _worker.zygote_threads()
        numbers = _numbers()
        if threads == self.threads and numbers == self._numbers:
            return
        self._numbers = numbers
        if threads > self.threads and here is not None:
            self.threads_of[here] = self.threads_of.get(here, 0) + threads - self.threads
        self.threads = threads
        now = set(_descriptors())
        for number in now - self.descriptors:
            if here is not None:
                self.opened_by[number] = here
        self.descriptors = now

    def _import(self, original):
        def exec_module(loader, module):
            self.look()
            self.importing.append(module.__name__)
            try:
                return original(loader, module)
            finally:
                self.look()
                self.importing.pop()

        return exec_module

    def _start(self, original):
        def start(thread):
            self.starters[thread] = _caller()
            return original(thread)

        return start

    def _replace(self, owner, name, wrap):
        own = name in vars(owner)
        original = getattr(owner, name)
        setattr(owner, name, wrap(original))
        self._restore.append((owner, name, original, own))

    def __enter__(self):
        import threading
        from importlib import machinery

        for loader in (machinery.SourceFileLoader, machinery.ExtensionFileLoader):
            self._replace(loader, "exec_module", self._import)
        self._replace(threading.Thread, "start", self._start)
        return self

    def __exit__(self, *failure):
        while self._restore:
            owner, name, original, own = self._restore.pop()
            if own:
                setattr(owner, name, original)
            else:
                delattr(owner, name)


def _caller():
    """The module whose code starts a thread, beyond those that start it for others."""
    frame = sys._getframe(2)
    name = "?"
    while frame is not None:
        name = frame.f_globals.get("__name__", "?")
        if name.partition(".")[0] not in ("threading", "concurrent", "multiprocessing"):
            break
        frame = frame.f_back
    return name


# ---- what cannot be forked ----


def _settled_threads():
    """How many there are; one that was joined may take a moment to be gone."""
    for _ in range(_LOOKS):
        if _worker.zygote_threads() <= 1:
            break
        time.sleep(0.001)
    return _worker.zygote_threads()


def _threads_in_words(watch, count):
    import threading

    words = []
    others = [t for t in threading.enumerate() if t is not threading.main_thread()]
    for thread in others:
        starter = watch.starters.get(thread, "?")
        words.append(f"{thread.name!r}, started by the module {starter}")
    modules = sorted(set(watch.threads_of) - set(watch.starters.values()))
    if count - 1 > len(others):
        words.append(
            f"{count - 1 - len(others)} of native code, which came with the import of "
            + (" or ".join(modules) or "no module")
        )
    return "; ".join(words)


def _is_shared(kind):
    """Whether a descriptor of this kind cannot be opened anew."""
    return kind.startswith(("socket:", "pipe:", "anon_inode:"))


def check(watch):
    """Raises CannotFork when the process has what a fork cannot copy."""
    count = _settled_threads()
    if count > 1:
        raise CannotFork(
            "a process that is to be forked must have one thread, and this one has "
            f"{count}: {_threads_in_words(watch, count)}"
        )
    for number, kind in sorted(_descriptors().items()):
        if _is_shared(kind):
            module = watch.opened_by.get(number, "?")
            raise CannotFork(
                f"descriptor {number} ({kind}), opened by the module {module}, would be "
                "shared by all workers: open it in initialize() or after_fork()"
            )


def without_watch(failure):
    """The exception with a traceback as it would be without the watch around imports."""
    kept = []
    trace = failure.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file != __file__ and not file.startswith("<frozen importlib"):
            kept.append(trace)
        trace = trace.tb_next
    for trace, after in zip(kept, kept[1:] + [None]):
        trace.tb_next = after
    return failure.with_traceback(kept[0] if kept else None)


# ---- files ----


def _flush(files):
    for file in files:
        try:
            file.flush()
        except (OSError, ValueError):
            pass  # closed, or for reading


def _files():
    """Every file object that may have something in its buffer."""
    import io

    kinds = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)
    return [value for value in gc.get_objects() if type(value) in kinds]


def _state_of(number):
    """(position, flags) of an open file."""
    position = flags = 0
    with open(f"/proc/self/fdinfo/{number}", encoding="ascii") as lines:
        for line in lines:
            name, _, value = line.partition(":")
            if name == "pos":
                position = int(value)
            elif name == "flags":
                flags = int(value, 8)
    return position, flags


def _files_to_open():
    """{number: path} of what can be opened anew."""
    import stat

    found = {}
    for number, kind in _descriptors().items():
        mode = os.fstat(number).st_mode
        if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
            found[number] = kind
    return found


def open_files_anew():
    """In a worker: files of the zygote's become the worker's own, at the same position
    and under the same number. Those that cannot be opened stay shared."""
    for number, kind in _open.items():
        position, flags = _state_of(number)
        try:
            own = os.open(f"/proc/self/fd/{number}", flags & _OPENED_ANEW)
        except OSError as failure:
            sys.stderr.write(f"snakepit: {kind} stays shared with others: {failure}\n")
            continue
        try:
            if position > 0:
                os.lseek(own, position, os.SEEK_SET)
            os.dup2(own, number, inheritable=os.get_inheritable(number))
        finally:
            os.close(own)


def _numpy_key(numpy_random):
    """The state of NumPy's generator as bytes to write to; None when it is another one
    than usual or does not lie in memory as this expects, which is looked at."""
    if not hasattr(numpy_random, "get_bit_generator"):  # NumPy 1.24
        return None
    state = numpy_random.get_state(legacy=False)
    if state["bit_generator"] != "MT19937":
        return None
    import ctypes

    key = state["state"]["key"].tobytes()
    address = numpy_random.get_bit_generator().ctypes.state_address
    memory = (ctypes.c_char * len(key)).from_address(address)
    return memory if bytes(memory) == key else None


def _seeding():
    """(a buffer to fill with random bytes or None, a function to call or None) before each
    fork, so that the next worker has random numbers of its own. In the zygote, and the
    less code the better: every page that is written to between two forks is copied.
    Python seeds the module random by itself, in the worker, and so does OpenSSL;
    generators that the adapter has made are the adapter's."""
    uuid = sys.modules.get("uuid")
    if uuid is not None:
        uuid._last_timestamp = None
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is None:
        return None, None
    numpy_random.seed()  # at its beginning, with nothing left of before
    key = _numpy_key(numpy_random)
    if key is not None:
        return key, None
    return None, lambda: numpy_random.seed(list(memoryview(os.urandom(32)).cast("I")))


# ---- the whole ----


def hatch(runtime, load, refuse, hidden):
    """Load, and be forked. Gives (what load() gave, None) in each worker, (None, status)
    in the zygote when it is over. refuse(exception) tells why there is nothing to fork;
    a worker's variables come into os.environ, except those that are hidden."""
    _worker.zygote_open(runtime)
    watch = Watch()
    try:
        with watch:
            loaded = load()
        check(watch)
    except (Exception, SystemExit) as failure:
        refuse(failure)
        return None, 1
    del watch
    seeding = _seeding()
    _open.update(_files_to_open())
    gc.collect()
    _inherited.extend(_files())
    _flush(_inherited)  # or every worker would write what is in their buffers
    _kept.extend((load, refuse, seeding))
    gc.freeze()
    _worker.zygote_announce()
    variables = _worker.zygote_next(*seeding)
    if variables is None:
        return None, 0
    for name, value in variables.items():
        if name not in hidden:
            os.environ[name] = value
    return loaded, None


def leave(status):
    """End a forked worker. As the interpreter ends, but without taking it to pieces:
    that would write to everything the worker shares with others, to no use."""
    threading = sys.modules.get("threading")
    if threading is not None:
        threading._shutdown()
    atexit = sys.modules.get("atexit")
    if atexit is not None:
        atexit._run_exitfuncs()
    _flush(_inherited + _files())  # what is frozen is not among the latter
    os._exit(status)
