# SPDX-License-Identifier: MIT
"""A worker process: open the connections the host left, load the adapter, serve.

    python3 snakepit_worker.py --adapter SPEC [--listen ADDRESS] [ADAPTER ARGUMENTS]

What is not known here is the adapter's and stands in sys.argv[1:]. A worker that cannot
load its adapter tells the host why before it ends with status 1.
"""

import os
import sys

from . import _serve, _spec, _worker, loader

INHERITED = (
    "SNAKEPIT_CALL_FD",
    "SNAKEPIT_HOST_FD",
    "SNAKEPIT_PAGE_FD",
    "SNAKEPIT_MEMORY_FD",
    "SNAKEPIT_CALL_IN_FD",
    "SNAKEPIT_CALL_OUT_FD",
)
_USAGE = """usage: snakepit_worker.py [--facts] [--adapter SPEC] [--preload MODULE]... [--listen ADDRESS]
                          [ARGUMENT ...]

  --facts            first of all: print what the adapter's imports bring along, and end
  --adapter SPEC     showcase (the default), none, module:Class, pkg.module.Class,
                     path/to/file.py or path/to/file.py:Class
  --preload MODULE   import it before the adapter
  --listen ADDRESS   serve gRPC clients on unix:/path or 127.0.0.1:port instead of the
                     sockets a host leaves; port 0 takes a free one and prints it
"""

_open_worker = None  # the worker main() has opened, for a script's ProtocolHandler
_was_served = False
_threads_wanted = 1
_overlapping = None  # the module, when the host wants calls to overlap
_is_zygote = False  # while the adapter is loaded to be forked
_zygote = None  # the module, in a zygote and in what it forks


def parse(arguments):
    """(adapter, modules to preload, listen address or None, the adapter's arguments).
    Exits on --help."""
    adapter, preload, listen, rest = None, [], None, []
    waiting = iter(arguments)
    for argument in waiting:
        name, equals, value = argument.partition("=")
        if name == "--help" and not equals:
            sys.stdout.write(_USAGE)
            raise SystemExit(0)
        if name not in ("--adapter", "--listen", "--preload"):
            rest.append(argument)
            continue
        if not equals:
            value = next(waiting, None)
            if value is None:
                sys.stderr.write(f"snakepit_worker.py: {name} needs a value\n")
                raise SystemExit(2)
        if name == "--adapter":
            adapter = value
        elif name == "--preload":
            preload.append(value)
        else:
            listen = value
    return adapter or "showcase", preload, listen, rest


def cancel_signal():
    """The number of the signal that interrupts a cancelled call; 0: none."""
    return _signal_number("SNAKEPIT_CANCEL_SIGNAL", "SIGURG")


def _signal_number(variable, usual):
    import _signal  # built in; the module signal costs a millisecond for its enums

    name = os.environ.get(variable, usual)
    if name in ("", "0", "none"):
        return 0
    number = int(name) if name.isdigit() else getattr(_signal, name, None)
    if not isinstance(number, int):
        raise ValueError(f"{variable}: no signal named {name!r}")
    return number


def stack_signal():
    """The number of the signal that shows stacks; 0: none."""
    return _signal_number("SNAKEPIT_STACK_SIGNAL", "SIGQUIT")


def offer_stacks(worker, number):
    """Let the host see where this process hangs: on that signal faulthandler writes every
    thread's stack, also while C code holds the lock."""
    if number == 0:
        return
    try:
        import faulthandler

        descriptor = worker.offer_stacks(number)
        if descriptor is not None:
            faulthandler.register(number, file=descriptor, all_threads=True)
            worker.repeat_stacks(number)
    except (ImportError, AttributeError, ValueError, OSError):
        pass  # an interpreter without it hangs without a word


def runtime_name():
    """Such as "python 3.11.2"."""
    version = "python %d.%d.%d" % sys.version_info[:3]
    enabled = getattr(sys, "_is_gil_enabled", None)
    return version if enabled is None or enabled() else version + " free-threaded"


def _number_from(variable):
    """What the host says that this worker may run at once, and no worker below it."""
    text = os.environ.pop(variable, "")
    return int(text) if text.isdigit() and int(text) > 0 else 1


def _make_worker(listen, connected):
    global _threads_wanted, _overlapping
    _threads_wanted = _number_from("SNAKEPIT_WORKER_THREADS")
    concurrency = _number_from("SNAKEPIT_WORKER_CONCURRENCY")
    if concurrency > 1:
        from . import _overlap  # before the adapter, which is to find its event loop

        _overlapping = _overlap
    return _worker.Worker(
        threads=_threads_wanted,
        jobs_max=concurrency if concurrency > 1 else 0,
        runtime=runtime_name(),
        listen=listen,
        cancel_signal=cancel_signal(),
        connected=connected,
    )


def open_worker(listen=None):
    """Connect to what the host left in the environment, or listen. SNAKEPIT_LISTEN is
    for scripts that have no --listen."""
    if _is_zygote:
        raise _worker.WorkerError(
            "a script that serves by itself cannot be forked: the pool needs zygote: off"
        )
    listen = listen or os.environ.pop("SNAKEPIT_LISTEN", None)
    worker = _make_worker(listen, True)
    offer_stacks(worker, stack_signal())
    os.register_at_fork(after_in_child=worker.forget)
    for name in INHERITED:
        os.environ.pop(name, None)  # a child of ours must not take them for its own
    return worker


def prepare_process():
    """What user code finds: lines that leave at once, and a stack when it crashes."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.reconfigure(line_buffering=True)
        except (AttributeError, ValueError):
            pass  # replaced or closed by whoever started us
    try:
        import faulthandler

        faulthandler.enable()
    except (ImportError, AttributeError, ValueError, OSError):
        pass  # no stderr to write to
    folder = os.getcwd()
    if folder not in sys.path:
        sys.path.insert(min(1, len(sys.path)), folder)


def describe(worker, tools):
    """Tell the worker what it is to announce."""
    for tool in tools.tools:
        worker.add_tool(
            tool.name,
            tool.description or None,
            tool.streaming,
            [_parameter(worker, p) for p in tool.parameters]
            + [(rest, "any", None, "null") for rest in _spec.rests(tool.callable)],
            tool.idempotent,
        )
    if tools.accepts_any:
        worker.accept_any()


def _parameter(worker, parameter):
    worker.pin_key(parameter.name)
    default = None
    if not parameter.required:
        default = _worker.encode(parameter.default, _substitute).decode("utf-8")
    return (parameter.name, parameter.type, parameter.description or None, default)


def _substitute(value):
    """The codec's way out; loads the real one when it is first needed."""
    from ._values import substitute

    return substitute(value)


def _start_samplers():
    interval_s = os.environ.pop("SNAKEPIT_WORKER_SAMPLE_S", "")
    if interval_s:
        from . import telemetry

        telemetry.start_samplers(float(interval_s))


def serve(worker, tools, is_described=False):
    """Announce and run calls until the worker shall end."""
    global _was_served
    _was_served = True
    threads = _threads_allowed(worker, tools)
    overlap = _overlap_for(worker, tools)
    if not is_described:
        describe(worker, tools)
    worker.announce()
    if worker.address:
        print(f"snakepit worker: listening on {worker.address}")
    _serve.tell_session_ends(tools.end_session)
    _start_samplers()
    if overlap is not None:
        overlap.serve(worker, tools.table, tools.resolve, _serve, _substitute)
    else:
        worker.serve(tools.table, tools.resolve, _serve, _substitute, threads)


def _overlap_for(worker, tools):
    """The module that lets calls overlap, when the host wants that and the tools can."""
    if _overlapping is None or _overlapping.has_asynchronous(tools):
        return _overlapping
    worker.set_capacity(1)
    return None


def _threads_allowed(worker, tools):
    if _threads_wanted == 1:
        return 1
    from . import _threads

    threads, note = _threads.allowed(tools, _threads_wanted)
    if note is not None:
        sys.stderr.write(f"snakepit: {note}\n")
    worker.set_capacity(threads)
    return threads


def _is_ours(trace):
    file = trace.tb_frame.f_code.co_filename
    return file.startswith((os.path.dirname(__file__) + os.sep, "<frozen importlib"))


def _without_our_frames(exception):
    """The exception with the traceback from the adapter's own code on."""
    trace = exception.__traceback__
    while trace is not None and _is_ours(trace):
        trace = trace.tb_next
    return exception.with_traceback(trace)


def refuse(tell, exception, permanent):
    """Tell the host that the worker cannot start, and whoever reads stderr too."""
    kind, message, trace, _ = _serve.describe(_without_our_frames(exception), True)
    sys.stderr.write(trace or f"{kind}: {message}\n")
    sys.stderr.flush()
    tell(permanent, kind, message, trace)


def _load(spec, preload):
    checks = os.environ.pop("SNAKEPIT_WORKER_THREAD_CHECKS", "")
    needed = os.environ.pop("SNAKEPIT_WORKER_REQUIREMENTS", "")
    if needed:
        from . import _requirements

        _requirements.check(needed)
    if os.environ.pop("SNAKEPIT_WORKER_NO_GIL", "") == "yes":
        from . import _threads

        _threads.refuse_the_lock()
    if checks:
        from . import thread_safety_checker

        thread_safety_checker.enable_checking(strict_mode=checks == "strict")
    for name in preload:
        __import__(name)
    tools = loader.load(spec)
    if checks:
        from . import _threads

        _threads.watch(tools)
    return tools


def _hatch(spec, preload):
    """In a zygote, as _zygote.hatch() gives: what _run_forked() takes in each it makes."""
    global _is_zygote

    def load():
        tools = _load(spec, preload)
        worker = _make_worker(None, False)
        describe(worker, tools)
        return worker, tools, stack_signal()

    def cannot(failure):
        refuse(_worker.zygote_refuse, _zygote.without_watch(failure), True)

    _is_zygote = True
    made, status = _zygote.hatch(runtime_name(), load, cannot, INHERITED)
    _is_zygote = False
    return made, status


def _begin_forked(tools):
    """What the worker shares with others becomes its own."""
    _zygote.open_files_anew()
    tools.after_fork()
    return tools


def _start(worker, load, permanent):
    """What load() gives, the tools, ready to run; None after a refusal."""
    try:
        tools = load()
        permanent = False  # what initialize() lacks now it may have another time
        if not _was_served:
            tools.start()
        return tools
    except (Exception, SystemExit) as failure:
        refuse(worker.refuse, failure, permanent)
        return None


def _run(worker, load, is_forked):
    """From the connection to the end of the worker; its exit status."""
    global _open_worker
    _open_worker = worker
    try:
        tools = _start(worker, load, not is_forked)
        if tools is None:
            return 1
        if not _was_served:  # a script may have done it while it was loaded
            try:
                serve(worker, tools, is_forked)
            finally:
                tools.stop()
        return 0
    finally:
        _serve.finish()
        worker.close()


def _run_executed(spec, preload, listen):
    try:
        worker = open_worker(listen)
    except (_worker.WorkerError, ValueError) as failure:
        sys.stderr.write(f"snakepit_worker.py: {failure}\n")
        return 1
    return _run(worker, lambda: _load(spec, preload), False)


def _run_forked(worker, tools, stacks):
    try:
        worker.connect()
    except _worker.WorkerError as failure:
        sys.stderr.write(f"snakepit_worker.py: {failure}\n")
        return 1
    offer_stacks(worker, stacks)
    os.register_at_fork(after_in_child=worker.forget)
    for name in INHERITED:
        os.unsetenv(name)  # os.environ never had them
    return _run(worker, lambda: _begin_forked(tools), True)


def tell_facts(spec, preload):
    """Load the adapter and print, as a line of JSON, what that has brought along:
    `gil_before` and `gil_after` the imports, `libraries` that are known, and those of them
    that are `not_for_threads`. What `snakepit doctor` asks."""
    import json

    from . import compatibility

    before = compatibility.python_facts()["gil_enabled"]
    _load(spec, preload)
    libraries = compatibility.loaded_libraries()
    print(json.dumps({
        "gil_before": before,
        "gil_after": compatibility.python_facts()["gil_enabled"],
        "libraries": libraries,
        "not_for_threads": [name for name in libraries
                            if compatibility.check(name, "thread")[0] == "warning"],
    }))
    return 0


def main(arguments=None):
    """Run a worker; returns its exit status. A forked one ends itself."""
    global _zygote
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    asks_facts = arguments[:1] == ["--facts"]
    spec, preload, listen, rest = parse(arguments[1:] if asks_facts else arguments)
    sys.argv = [sys.argv[0] or "snakepit_worker.py", *rest]
    prepare_process()
    if asks_facts:
        return tell_facts(spec, preload)
    if not _worker.zygote_wanted():
        return _run_executed(spec, preload, listen)
    from . import _zygote

    made, status = _hatch(spec, preload)
    if status is None:
        _zygote.leave(_run_forked(*made))
    return status
