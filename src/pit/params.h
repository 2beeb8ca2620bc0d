/* SPDX-License-Identifier: MIT */
/*
 * Every setting there is: one row each, the only place where a key is spelled.
 *
 * X(id, scope, key, kind, min, max, words, default, environment, of, member,
 *   text)
 *
 *   scope        TOP: stands alone; POOL: stands in a pool or, but for `name`, under
 *                `defaults`
 *   key          "size", or "queue.max" for a key inside the map `queue`
 *   kind         see enum config_kind. A duration is in milliseconds, a size in bytes
 *   min, max     of a number: the range; of text: the length in bytes; of a constant: the
 *                first and the last
 *   words        of a choice: "a|b|c"; of a constant: one for each, from `min` on
 *   default      as it would stand in the file; "" when there is none or it is computed
 *   of, member   the member of sp_pit_options, sp_pool_options, sp_sessions_options or
 *                sp_service_options that takes the value;
 *                `size` where it is carried over by hand
 *   text         one or two sentences for `snakepit config explain`
 */
#ifndef SP_PIT_PARAMS_H
#define SP_PIT_PARAMS_H

#define KIB 1024u
#define MIB (1024u * 1024u)
#define SECOND 1000u
#define MINUTE (60u * SECOND)
#define HOUR (60u * MINUTE)

#define SP_PARAM_TABLE(X)                                                              \
    X(INSTANCE, TOP, "instance", NAME, 1, 64, "", "", "SNAKEPIT_INSTANCE", pit,        \
      instance,                                                                        \
      "A name that one host at a time may have. The host that has it ends what a "     \
      "killed host of that name left behind. Without it a program's pit shares "       \
      "nothing and needs no lock.")                                                    \
    X(RUNTIME_DIR, TOP, "runtime_dir", PATH, 1, 400, "", "", "SNAKEPIT_RUNTIME_DIR",   \
      pit, runtime_dir,                                                                \
      "Folder of locks and registries, one folder in it for each instance. Without "   \
      "it "                                                                            \
      "$XDG_RUNTIME_DIR/snakepit, for root /run/snakepit, else /tmp/snakepit-UID.")    \
    X(STATE_DIR, TOP, "state_dir", PATH, 1, 4000, "", "", "SNAKEPIT_STATE_DIR",        \
      sessions, path,                                                                  \
      "Folder of the sessions that are to outlive the process, of one process at a "   \
      "time. Without it snakepitd and `snakepit session`, `var` and `program` have a " \
      "folder for each instance in $XDG_STATE_HOME/snakepit (~/.local/state), for "    \
      "root in /var/lib/snakepit; other programs keep sessions in memory.")            \
    X(WORKERS_MAX, TOP, "workers_max", COUNT, 1, 10000, "", "1000",                    \
      "SNAKEPIT_WORKERS_MAX", pit, workers_max,                                        \
      "Most workers over all pools together. What the pools ask for beyond it is "     \
      "refused with a warning, so that a slip in `size` cannot take a machine down.")  \
    X(OUTCOMES_KEEP, TOP, "outcomes.keep", DURATION, 1, 24u * HOUR, "", "10m",         \
      "SNAKEPIT_OUTCOMES_KEEP", pit, outcome_keep_ms,                                  \
      "How long it is known how a call with a request id or a dedupe key ended.")      \
    X(GUARD_LEVEL, TOP, "guard.level", CONSTANT, SP_SAFETY_DEFAULT,                    \
      SP_SAFETY_NAMESPACE, "auto|lifeline|subreaper|cgroup|namespace", "auto",         \
      "SNAKEPIT_GUARD_LEVEL", pit, guard_level,                                        \
      "What keeps workers, and whatever they start, from outliving the program: "      \
      "lifeline ends them and their process groups, subreaper also what has left its " \
      "group, cgroup that also when the guard is killed, namespace everything, "       \
      "whoever is killed. Where the machine refuses one, the next lower one is "       \
      "taken. auto is namespace for snakepit's own programs and cgroup in others.")    \
    X(GUARD_REQUIRE, TOP, "guard.require", CONSTANT, SP_SAFETY_DEFAULT,                \
      SP_SAFETY_NAMESPACE, "none|lifeline|subreaper|cgroup|namespace", "none",         \
      "SNAKEPIT_GUARD_REQUIRE", pit, guard_require,                                    \
      "The level of guard.level that must be reached; below it nothing starts.")       \
    X(SAMPLE_INTERVAL, TOP, "sample_interval", DURATION_ANY, 10, 24u * HOUR, "", "5s", \
      "SNAKEPIT_SAMPLE_INTERVAL", pit, sample_interval_ms,                             \
      "Time between two looks at the memory of the workers and their descendants; "    \
      "longer when looking would take more than a hundredth of the time.")             \
    X(SPIN_US, TOP, "spin_us", COUNT, 0, 1000, "", "0", "SNAKEPIT_SPIN_US", pit,       \
      spin_us,                                                                         \
      "Microseconds for which the loop and idle native workers look for news before "  \
      "they sleep, as long as news come that fast. 0 is not at all. For machines "     \
      "with processors to spare, see snakepit(7).")                                    \
    X(NESTING_MAX, TOP, "nesting_max", COUNT, 1, 16, "", "8", "SNAKEPIT_NESTING_MAX",  \
      pit, nesting_max,                                                                \
      "Most calls that may wait for each other: a tool that calls a tool that calls "  \
      "a tool. One more is refused, so that a tool that asks for itself ends.")        \
    X(TELEMETRY_OTLP, TOP, "telemetry.otlp", TEXT, 0, 2047, "", "",                    \
      "SNAKEPIT_TELEMETRY_OTLP", pit, otlp_endpoint,                                   \
      "Address of a collector that takes spans and metrics as OTLP over HTTP, such "   \
      "as "                                                                            \
      "http://127.0.0.1:4318; an empty one is none. Without it "                       \
      "OTEL_EXPORTER_OTLP_ENDPOINT and its kin say it, see snakepit(7).")              \
    X(TELEMETRY_SAMPLE, TOP, "telemetry.sample", SHARE, 0, 1000, "", "",               \
      "SNAKEPIT_TELEMETRY_SAMPLE", pit, trace_sample_permille,                         \
      "Share of the calls that come without a trace and begin one. A call that "       \
      "comes with one is recorded when whoever began it wants that. Without it "       \
      "0.1 where spans go somewhere, else none.")                                      \
    X(TELEMETRY_TRACE_RATE, TOP, "telemetry.trace_rate", COUNT, 1, 1000000, "", "",    \
      "SNAKEPIT_TELEMETRY_TRACE_RATE", pit, trace_rate_max,                            \
      "Most traces that begin in a second, or a tenth more after a quiet one; those "  \
      "that calls come with are not counted. Without it 1000 where "                   \
      "`telemetry.sample` is not set either, else as many as that says.")              \
    X(LOOPS, TOP, "loops", COUNT, 1, 64, "", "", "SNAKEPIT_LOOPS", pit, loops,         \
      "Threads that the workers are divided over, and with them the work of the "      \
      "program; never more than there are workers. Without it one for up to four "     \
      "processors, then one for each four, at most 16.")                               \
    X(SESSIONS_TTL, TOP, "sessions.ttl", DURATION_ANY, 1, 8784ull * HOUR, "", "1h",    \
      "SNAKEPIT_SESSIONS_TTL", sessions, ttl_ms,                                       \
      "Time for which a session lives without being used, when it names none itself.") \
    X(SESSIONS_MAX, TOP, "sessions.max", COUNT_ANY, 1, 100000000, "", "10000",         \
      "SNAKEPIT_SESSIONS_MAX", sessions, sessions_max,                                 \
      "Sessions at a time. One more is refused.")                                      \
    X(SESSIONS_WARN, TOP, "sessions.warn", SHARE, 1, 1000, "", "0.8",                  \
      "SNAKEPIT_SESSIONS_WARN", sessions, warn_permille,                               \
      "Share of `sessions.max` at which an event warns.")                              \
    X(SESSIONS_DURABILITY, TOP, "sessions.durability", CONSTANT, SP_DURABILITY_MEMORY, \
      SP_DURABILITY_DURABLE, "memory|crash|durable", "",                               \
      "SNAKEPIT_SESSIONS_DURABILITY", sessions, durability,                            \
      "What is left of a session that names no class itself: nothing after the "       \
      "process ends, all that was acknowledged when it is killed, or also when the "   \
      "power fails. Without it crash where there is a `state_dir`, else memory.")      \
    X(SESSIONS_CLEANUP, TOP, "sessions.cleanup_interval", DURATION, 10, 24u * HOUR,    \
      "", "1m", "SNAKEPIT_SESSIONS_CLEANUP_INTERVAL", sessions, cleanup_interval_ms,   \
      "Time between two rounds that free the memory of sessions whose time is over, "  \
      "and tell of their end. Nobody finds such a session meanwhile.")                 \
    X(SESSIONS_METADATA, TOP, "sessions.metadata_max", SIZE, 2, 64u * MIB, "",         \
      "64KiB", "SNAKEPIT_SESSIONS_METADATA_MAX", sessions, metadata_bytes,             \
      "Largest metadata of a session or a variable, as JSON.")                         \
    X(SESSIONS_VARIABLES, TOP, "sessions.variables_max", COUNT_ANY, 1, 100000000, "",  \
      "10000", "SNAKEPIT_SESSIONS_VARIABLES_MAX", sessions, variables_max,             \
      "Variables of one session.")                                                     \
    X(SESSIONS_PROGRAMS, TOP, "sessions.programs_max", COUNT_ANY, 1, 100000000, "",    \
      "10000", "SNAKEPIT_SESSIONS_PROGRAMS_MAX", sessions, programs_max,               \
      "Programs of one session, and programs of none.")                                \
    X(SESSIONS_HISTORY, TOP, "sessions.history_max", COUNT, 1, 1000000, "", "32",      \
      "SNAKEPIT_SESSIONS_HISTORY_MAX", sessions, history_max,                          \
      "Versions of a variable that are kept.")                                         \
    X(SESSIONS_VALUE, TOP, "sessions.value_max", SIZE, 1, 1024u * MIB, "", "16MiB",    \
      "SNAKEPIT_SESSIONS_VALUE_MAX", sessions, value_bytes,                            \
      "Largest value of a variable, and largest program.")                             \
    X(SESSIONS_BYTES, TOP, "sessions.bytes_max", SIZE_ANY, 1u * KIB,                   \
      1024ull * 1024u * MIB, "", "64MiB", "SNAKEPIT_SESSIONS_BYTES_MAX", sessions,     \
      session_bytes, "Memory of all that is in one session.")                          \
    X(LISTEN_SOCKET, TOP, "listen.socket", PATH, 1, 107, "", "",                       \
      "SNAKEPIT_LISTEN_SOCKET", service, socket,                                       \
      "Where snakepitd serves: the path of a unix socket. Its folder is this user's "  \
      "alone. Without it snakepit.sock in the instance's folder.")                     \
    X(LISTEN_CLIENTS, TOP, "listen.clients", COUNT, 1, 100000, "", "",                 \
      "SNAKEPIT_LISTEN_CLIENTS", service, listen.clients_max,                          \
      "Connections of clients at a time. One more closes the one that is idle "        \
      "longest, "                                                                      \
      "or is turned away. Without it 1000, or what the limit of descriptors allows.")  \
    X(LISTEN_CALLS, TOP, "listen.calls", COUNT, 1, 100000, "", "128",                  \
      "SNAKEPIT_LISTEN_CALLS", service, listen.calls_max,                              \
      "Calls of one client at a time.")                                                \
    X(LISTEN_MESSAGE_MAX, TOP, "listen.message_max", SIZE, 1u * KIB, 1024u * MIB, "",  \
      "16MiB", "SNAKEPIT_LISTEN_MESSAGE_MAX", service, listen.message_max_bytes,       \
      "Largest request of a client.")                                                  \
    X(LISTEN_IDLE, TOP, "listen.idle", DURATION_ANY, 1, 24u * HOUR, "", "5m",          \
      "SNAKEPIT_LISTEN_IDLE", service, listen.idle_timeout_ms,                         \
      "Time after which a client without a call is closed.")                           \
    X(LISTEN_GREETING, TOP, "listen.greeting", DURATION, 1, HOUR, "", "5s",            \
      "SNAKEPIT_LISTEN_GREETING", service, listen.greeting_timeout_ms,                 \
      "Time for a client's first words, and for each header block it has begun.")      \
    X(LISTEN_BODY, TOP, "listen.body", DURATION, 1, HOUR, "", "10s",                   \
      "SNAKEPIT_LISTEN_BODY", service, listen.body_timeout_ms,                         \
      "Time in which a request on its way makes headway by at least 1 KiB.")           \
    X(LISTEN_STALLED, TOP, "listen.stalled", DURATION, 1, 24u * HOUR, "", "30s",       \
      "SNAKEPIT_LISTEN_STALLED", service, listen.stalled_timeout_ms,                   \
      "Time after which a client is closed that takes nothing of its answers.")        \
    X(LISTEN_USERS, TOP, "listen.users", LIST, 1, 255, "", "", "", service, users,     \
      "Users, by name or number, who may connect beside the daemon's own and root. "   \
      "The socket's folder must let them pass: mode 755, say.")                        \
    X(HTTP_LISTEN, TOP, "http.listen", TEXT, 5, 200, "", "", "SNAKEPIT_HTTP_LISTEN",   \
      service, http.listen,                                                            \
      "Where snakepitd answers monitors over HTTP: tcp:127.0.0.1:9190, or unix:/path " \
      "for this user alone. /metrics, /healthz, /readyz and /livez are there. An "     \
      "address that others reach is warned of. Without it nowhere.")                   \
    X(HTTP_CLIENTS, TOP, "http.clients", COUNT, 1, 1000, "", "32",                     \
      "SNAKEPIT_HTTP_CLIENTS", service, http.clients_max,                              \
      "HTTP connections at a time. More are not taken.")                               \
    X(HTTP_TIMEOUT, TOP, "http.timeout", DURATION, SECOND, HOUR, "", "10s",            \
      "SNAKEPIT_HTTP_TIMEOUT", service, http.timeout_ms,                               \
      "Time without a byte after which an HTTP connection is closed.")                 \
    X(SHUTDOWN_TIMEOUT, TOP, "shutdown.timeout", DURATION, 1, 24u * HOUR, "", "10s",   \
      "SNAKEPIT_SHUTDOWN_TIMEOUT", service, shutdown_timeout_ms,                       \
      "Time that snakepitd takes to end, from the signal to the last process: calls "  \
      "may end in it, and what does not is cut off.")                                  \
    X(TELEMETRY_STATSD, TOP, "telemetry.statsd", TEXT, 3, 100, "", "",                 \
      "SNAKEPIT_TELEMETRY_STATSD", pit, statsd,                                        \
      "Where metrics go as lines of StatsD, by UDP: a number and a port, such as "     \
      "127.0.0.1:8125. Without it nowhere.")                                           \
    X(TELEMETRY_STATSD_PREFIX, TOP, "telemetry.statsd_prefix", NAME, 1, 64, "",        \
      "snakepit", "SNAKEPIT_TELEMETRY_STATSD_PREFIX", pit, statsd_prefix,              \
      "What their names begin with.")                                                  \
    X(TELEMETRY_STATSD_INTERVAL, TOP, "telemetry.statsd_interval", DURATION, 100,      \
      HOUR, "", "10s", "SNAKEPIT_TELEMETRY_STATSD_INTERVAL", pit, statsd_interval_ms,  \
      "Time between two rounds of lines; counters are told as what came meanwhile.")   \
    X(TELEMETRY_GPU, TOP, "telemetry.gpu_interval", DURATION, 100, 24u * HOUR, "", "", \
      "SNAKEPIT_TELEMETRY_GPU_INTERVAL", pit, gpu_interval_ms,                         \
      "Time between two looks at memory, load, temperature and power of graphics "     \
      "processors, told as events while somebody listens. Without it none is taken.")  \
    X(TELEMETRY_TOOLS, TOP, "telemetry.tools_max", COUNT, 0, 1000, "", "100",          \
      "SNAKEPIT_TELEMETRY_TOOLS_MAX", pit, metrics_tools_max,                          \
      "Tools of a pool that metrics tell apart: the first ones that are announced or " \
      "do well. All others are counted together.")                                     \
    X(LOG_LEVEL, TOP, "log.level", CONSTANT, SP_LOG_ERROR, SP_LOG_DEBUG,               \
      "error|warn|info|debug", "info", "SNAKEPIT_LOG_LEVEL", service, log.level,       \
      "The least that snakepitd writes to its log: error, warn, info or debug. With "  \
      "debug, events of user code in workers (worker.telemetry) too.")                 \
    X(LOG_FORMAT, TOP, "log.format", CONSTANT, SP_LOG_AUTO, SP_LOG_TEXT,               \
      "auto|logfmt|json|journal|text", "auto", "SNAKEPIT_LOG_FORMAT", service,         \
      log.format,                                                                      \
      "How snakepitd writes its log: logfmt is key=value, json one object for each "   \
      "line, journal the fields of systemd's journal, text for people. auto is "       \
      "journal where standard error is the journal's, else logfmt.")                   \
    X(LOG_SLOW_CALL, TOP, "log.slow_call", DURATION_ANY, 1, 24u * HOUR, "", "5s",      \
      "SNAKEPIT_LOG_SLOW_CALL", pit, slow_call_ms,                                     \
      "Calls that took longer, from their making to their end, are told and logged.")  \
    X(LOG_RATE, TOP, "log.rate", COUNT, 1, 10000000, "", "1000", "SNAKEPIT_LOG_RATE",  \
      service, log.rate_lines,                                                         \
      "Lines of one event, and of one worker's output, in `log.rate_interval`. Then "  \
      "one line says how many were left out.")                                         \
    X(LOG_RATE_INTERVAL, TOP, "log.rate_interval", DURATION, 1, HOUR, "", "10s",       \
      "SNAKEPIT_LOG_RATE_INTERVAL", service, log.rate_interval_ms,                     \
      "The time that `log.rate` is about.")                                            \
    X(LOG_REDACT, TOP, "log.redact", LIST, 1, 1000, "", "", "", service, log.redact,   \
      "POSIX extended regular expressions of what must not be logged, 32 at most. "    \
      "Passwords, tokens and keys are found without it.")                              \
    X(LOG_KEEP, TOP, "log.keep", SIZE, 4u * KIB, 256u * MIB, "", "1MiB",               \
      "SNAKEPIT_LOG_KEEP", service, log.keep_bytes,                                    \
      "Lines that snakepitd keeps for `snakepit logs`, in bytes.")                     \
    X(NAME, POOL, "name", NAME, 1, 64, "", "default", "", pool, name,                  \
      "Name of the pool. Calls that name no pool go to the first one, or to the "      \
      "first that "                                                                    \
      "has the tool when that one is known not to.")                                   \
    X(RUNTIME, POOL, "runtime", CHOICE, 1, 64,                                         \
      "python|node|ruby|r|exec|grpc|grpc_server|stdio", "python", "", pool, runtime,   \
      "What a worker is: python, node, ruby and r run an adapter in an interpreter "   \
      "of "                                                                            \
      "that language (without the key, the adapter's file name decides: .js, .mjs "    \
      "and "                                                                           \
      ".cjs are node, .rb is ruby, .R is r, all else python), exec runs `command` as " \
      "a program on libsnakepit-worker, grpc runs `command` as a stock gRPC server "   \
      "that listens where it is told, grpc_server runs it as the original's own "      \
      "Python "                                                                        \
      "worker, which tells where it listens, stdio runs `command` as a program that "  \
      "reads and writes lines of JSON, see snakepit-stdio(1).")                        \
    X(PROFILE, POOL, "profile", CONSTANT, SP_PROFILE_PROCESS, SP_PROFILE_THREAD,       \
      "process|thread", "process", "SNAKEPIT_PROFILE", pool, profile,                  \
      "How parallel work is spread: with process a worker runs one call at a time, "   \
      "with thread one on each of its `threads`. Python threads run at the same time " \
      "on a free-threaded interpreter; elsewhere they only wait at the same time.")    \
    X(ADAPTER, POOL, "adapter", ADAPTER, 1, 4000, "", "showcase", "SNAKEPIT_ADAPTER",  \
      pool, adapter,                                                                   \
      "What the workers of a language run: showcase, or a file, or what else its "     \
      "bridge understands; in Python also module:Class, dotted.path.Class, "           \
      "file.py:Class, or none to call any importable function by its dotted name; in " \
      "JavaScript also an installed package, and either with :Name for one of its "    \
      "exports.")                                                                      \
    X(ZYGOTE, POOL, "zygote", CONSTANT, SP_ZYGOTE_OFF, SP_ZYGOTE_AUTO, "off|on|auto",  \
      "off", "SNAKEPIT_ZYGOTE", pool, zygote,                                          \
      "Whether a process that has loaded the adapter once forks the workers, which "   \
      "are ready sooner then and share memory. on: an adapter that starts threads or " \
      "opens connections as it is loaded cannot start; auto: its workers are "         \
      "executed. For the runtimes python and exec.")                                   \
    X(PRELOAD, POOL, "preload", LIST, 1, 255, "", "", "", pool, preload,               \
      "Python modules that are imported before the adapter, in the zygote where "      \
      "there is one.")                                                                 \
    X(PYTHON, POOL, "python", PROGRAM, 1, 4000, "", "", "SNAKEPIT_PYTHON", pool,       \
      python,                                                                          \
      "The Python interpreter. Without it: .venv/bin/python3 here, the active "        \
      "virtual environment, python3 on PATH.")                                         \
    X(INTERPRETER, POOL, "interpreter", PROGRAM, 1, 4000, "", "", "", pool,            \
      interpreter,                                                                     \
      "The interpreter of a node, ruby or r worker: a path or a name on PATH. "        \
      "Without it: "                                                                   \
      "what SNAKEPIT_NODE, SNAKEPIT_RUBY or SNAKEPIT_R names, then node, ruby or "     \
      "Rscript on PATH.")                                                              \
    X(COMMAND, POOL, "command", COMMAND, 0, 32768, "", "", "", pool, command,          \
      "The program of an exec, grpc, grpc_server or stdio worker and its arguments: "  \
      "a "                                                                             \
      "list, or one text that is split into words as a shell does.")                   \
    X(ARGS, POOL, "args", WORDS, 0, 32768, "", "", "", pool, args,                     \
      "Further arguments for the worker's program: a list, or one text that is split " \
      "into words.")                                                                   \
    X(COMMANDS, POOL, "commands", LIST, 1, 255, "", "", "", pool, commands,            \
      "The tools that may be called. Without it those that the workers announce.")     \
    X(WORKING_DIR, POOL, "working_dir", PATH, 1, 4000, "", "", "SNAKEPIT_WORKING_DIR", \
      pool, working_dir,                                                               \
      "Working directory of the workers. Without it that of the program.")             \
    X(SIZE, POOL, "size", COUNT, 1, 1000, "", "", "SNAKEPIT_POOL_SIZE", pool, workers, \
      "How many workers the pool keeps running. Without it two for each processor.")   \
    X(THREADS, POOL, "threads", COUNT, 1, 256, "", "", "SNAKEPIT_THREADS", pool,       \
      threads,                                                                         \
      "Threads of a worker, each running one call, in a pool of the profile thread; "  \
      "without it 10. An adapter that does not say that it is made for threads runs "  \
      "one call at a time all the same.")                                              \
    X(MAX_CONCURRENCY, POOL, "max_concurrency", COUNT, 1, 10000, "", "1",              \
      "SNAKEPIT_MAX_CONCURRENCY", pool, max_concurrency,                               \
      "Calls of asynchronous tools that may overlap in one worker of the profile "     \
      "process. A worker without such tools runs one call at a time.")                 \
    X(PIPELINE, POOL, "pipeline", COUNT, 1, 1024, "", "64", "SNAKEPIT_PIPELINE", pool, \
      pipeline_max,                                                                    \
      "Calls that may be on the way to one worker, the running ones included. More "   \
      "gives throughput with short calls, fewer spreads long calls more evenly.")      \
    X(QUEUE_MAX, POOL, "queue.max", COUNT, 1, 10000000, "", "1000",                    \
      "SNAKEPIT_QUEUE_MAX", pool, queue_max,                                           \
      "Calls that may wait for a worker. One more is refused with SP-QUEUE-FULL.")     \
    X(AFFINITY, POOL, "affinity", CONSTANT, SP_AFFINITY_HINT,                          \
      SP_AFFINITY_STRICT_FAIL_FAST, "hint|none|strict_queue|strict_fail_fast", "hint", \
      "SNAKEPIT_AFFINITY", pool, affinity,                                             \
      "Which worker gets a session's calls: hint prefers the session's last worker, "  \
      "none takes any, strict_queue waits for the session's worker, "                  \
      "strict_fail_fast refuses when it is not free.")                                 \
    X(CHECK_ARGS, POOL, "check_args", CONSTANT, SP_CHECK_TYPES, SP_CHECK_NONE,         \
      "types|names|none", "types", "SNAKEPIT_CHECK_ARGS", pool, check_args,            \
      "How arguments are compared with what the tool has announced, before a call is " \
      "queued: types checks names and types, names that none is missing or unknown, "  \
      "none leaves it to the worker.")                                                 \
    X(THREAD_CHECKS, POOL, "thread_checks", CONSTANT, SP_THREADS_TRUSTED,              \
      SP_THREADS_STRICT, "off|warn|strict", "off", "SNAKEPIT_THREAD_CHECKS", pool,     \
      thread_checks,                                                                   \
      "Whether a Python adapter's attributes are watched for changes by several "      \
      "threads "                                                                       \
      "without a common lock: warn says on standard error what was found and where, "  \
      "strict lets the "                                                               \
      "call that does it fail as well. Slow; for tests of the profile thread.")        \
    X(REQUIREMENTS, POOL, "requirements", PATH, 1, 4000, "", "",                       \
      "SNAKEPIT_REQUIREMENTS", pool, requirements,                                     \
      "A requirements file, as pip has them. Python workers whose interpreter lacks "  \
      "one of its packages, or "                                                       \
      "has another version, do not start, and say which.")                             \
    X(REQUIRE_GIL_DISABLED, POOL, "require_gil_disabled", CONSTANT, 0, 1, "no|yes",    \
      "no", "SNAKEPIT_REQUIRE_GIL_DISABLED", pool, require_gil_disabled,               \
      "With yes a Python worker whose interpreter has a global lock does not start, "  \
      "nor one "                                                                       \
      "whose imports turn it on: the module is named.")                                \
    X(STARTUP_BATCH, POOL, "startup_batch", COUNT, 1, 1000, "", "",                    \
      "SNAKEPIT_STARTUP_BATCH", pool, startup_batch,                                   \
      "Workers that start at the same time. Without it two for each processor, at "    \
      "least 8.")                                                                      \
    X(STARTUP_BATCH_DELAY, POOL, "startup_batch_delay", DURATION, 0, 10u * MINUTE, "", \
      "0s", "SNAKEPIT_STARTUP_BATCH_DELAY", pool, startup_batch_delay_ms,              \
      "Pause between two batches of starting workers.")                                \
    X(STARTUP_TIMEOUT, POOL, "startup_timeout", DURATION, 1, 24u * HOUR, "", "30s",    \
      "SNAKEPIT_STARTUP_TIMEOUT", pool, startup_timeout_ms,                            \
      "Time in which all workers of the pool must be ready.")                          \
    X(INIT_TIMEOUT, POOL, "init_timeout", DURATION, 1, 24u * HOUR, "", "20s",          \
      "SNAKEPIT_INIT_TIMEOUT", pool, init_timeout_ms,                                  \
      "Time in which one worker must be ready after its start. Raise it for adapters " \
      "that load models.")                                                             \
    X(QUEUE_TIMEOUT, POOL, "queue_timeout", DURATION_ANY, 1, 24u * HOUR, "", "5s",     \
      "SNAKEPIT_QUEUE_TIMEOUT", pool, queue_timeout_ms,                                \
      "Longest wait of a call for a free worker.")                                     \
    X(CALL_TIMEOUT, POOL, "call_timeout", DURATION_ANY, 1, 24u * HOUR, "", "60s",      \
      "SNAKEPIT_CALL_TIMEOUT", pool, call_timeout_ms,                                  \
      "Longest time of a call, waiting and running together.")                         \
    X(STREAM_TIMEOUT, POOL, "stream_timeout", DURATION_ANY, 1, 24u * HOUR, "", "5m",   \
      "SNAKEPIT_STREAM_TIMEOUT", pool, stream_timeout_ms,                              \
      "Longest time of a stream, from the call to its last chunk.")                    \
    X(COMMAND_TIMEOUTS, POOL, "command_timeouts", DURATIONS, 1, 24u * HOUR, "", "",    \
      "", pool, size,                                                                  \
      "Call timeouts of single tools, in place of `call_timeout`: a map from tool to " \
      "duration.")                                                                     \
    X(CANCEL_GRACE, POOL, "cancel_grace", DURATION_ANY, 1, 24u * HOUR, "", "2s",       \
      "SNAKEPIT_CANCEL_GRACE", pool, cancel_grace_ms,                                  \
      "Time a worker gets to end a cancelled call before it is killed and replaced; "  \
      "never lets it go on.")                                                          \
    X(SHUTDOWN_GRACE, POOL, "shutdown_grace", DURATION, 1, HOUR, "", "2s",             \
      "SNAKEPIT_SHUTDOWN_GRACE", pool, shutdown_grace_ms,                              \
      "Time a worker gets to stop when asked before it is killed.")                    \
    X(HEALTH_INTERVAL, POOL, "health_interval", DURATION_ANY, 10, 24u * HOUR, "",      \
      "30s", "SNAKEPIT_HEALTH_INTERVAL", pool, health_interval_ms,                     \
      "Time between two health checks of a worker; never switches them off. An "       \
      "answer since the last check is as good as one; else the worker gets a PING.")   \
    X(HEALTH_MISSES, POOL, "health_misses", COUNT, 1, 100, "", "1",                    \
      "SNAKEPIT_HEALTH_MISSES", pool, health_misses,                                   \
      "Health checks in a row without a sign of life after which a worker hangs and "  \
      "is replaced.")                                                                  \
    X(HANG_GRACE, POOL, "hang_grace", DURATION, 1, 24u * HOUR, "", "1s",               \
      "SNAKEPIT_HANG_GRACE", pool, hang_grace_ms,                                      \
      "For a worker that hangs, or goes on with a cancelled call past cancel_grace: "  \
      "time from the first SIGTERM to SIGKILL. Its stack is asked for before, where "  \
      "it can give one.")                                                              \
    X(RECYCLE_AFTER, POOL, "recycle.after", DURATION_ANY, 100, 8760u * (uint64_t)HOUR, \
      "", "never", "SNAKEPIT_RECYCLE_AFTER", pool, recycle_after_ms,                   \
      "Age at which a worker is replaced by a fresh one, without a gap: the new one "  \
      "is ready before the old one gets no more calls.")                               \
    X(RECYCLE_CALLS, POOL, "recycle.calls", COUNT_ANY, 1, 1000000000000, "", "never",  \
      "SNAKEPIT_RECYCLE_CALLS", pool, recycle_calls,                                   \
      "Calls after which a worker is replaced.")                                       \
    X(RECYCLE_MEMORY, POOL, "recycle.memory", SIZE_ANY, 1u * MIB,                      \
      1024ull * 1024u * MIB, "", "never", "SNAKEPIT_RECYCLE_MEMORY", pool,             \
      recycle_memory_bytes,                                                            \
      "Resident memory of a worker and its descendants above which it is replaced. "   \
      "One that is above it before its first call stays, and an event says so.")       \
    X(RECYCLE_JITTER, POOL, "recycle.jitter", SHARE, 0, 900, "", "0.1",                \
      "SNAKEPIT_RECYCLE_JITTER", pool, recycle_jitter_permille,                        \
      "Share by which age and calls may be reached earlier, at random, so that "       \
      "workers started together are not replaced together.")                           \
    X(RECYCLE_SURGE, POOL, "recycle.surge", COUNT, 0, 1000, "", "1",                   \
      "SNAKEPIT_RECYCLE_SURGE", pool, recycle_surge,                                   \
      "Workers that may be replaced at the same time, each a process more. With 0 an " \
      "old one goes before its relief starts.")                                        \
    X(RECYCLE_DRAIN, POOL, "recycle.drain", DURATION_ANY, 1, 24u * HOUR, "", "5m",     \
      "SNAKEPIT_RECYCLE_DRAIN", pool, drain_timeout_ms,                                \
      "Time for the calls of a replaced worker to end.")                               \
    X(RESTART_BACKOFF, POOL, "restart.backoff", DURATION, 1, 24u * HOUR, "", "100ms",  \
      "SNAKEPIT_RESTART_BACKOFF", pool, backoff_min_ms,                                \
      "Longest pause before the second start in a row that failed; it doubles, with "  \
      "jitter. The first one comes at once.")                                          \
    X(RESTART_BACKOFF_MAX, POOL, "restart.backoff_max", DURATION, 1, 24u * HOUR, "",   \
      "30s", "SNAKEPIT_RESTART_BACKOFF_MAX", pool, backoff_max_ms,                     \
      "Longest pause between two starts of a worker that keeps failing.")              \
    X(RESTART_STEADY, POOL, "restart.steady", DURATION, 1, 24u * HOUR, "", "10s",      \
      "SNAKEPIT_RESTART_STEADY", pool, steady_ms,                                      \
      "A worker that lives as long has started well: failures before it are "          \
      "forgotten.")                                                                    \
    X(RESTART_CRASHES, POOL, "restart.crashes", COUNT, 1, 1000000, "", "",             \
      "SNAKEPIT_RESTART_CRASHES", pool, crashes_max,                                   \
      "Deaths of workers within `restart.period`; one more opens the breaker. "        \
      "Without it 10, or two for each worker.")                                        \
    X(RESTART_PERIOD, POOL, "restart.period", DURATION, 1, 24u * HOUR, "", "1m",       \
      "SNAKEPIT_RESTART_PERIOD", pool, crash_period_ms,                                \
      "Time over which deaths are counted.")                                           \
    X(RESTART_PROBE, POOL, "restart.probe", DURATION, 1, 24u * HOUR, "", "30s",        \
      "SNAKEPIT_RESTART_PROBE", pool, probe_interval_ms,                               \
      "While the breaker is open: one start per this time, to see whether it works "   \
      "again.")                                                                        \
    X(RESTART_SUSPECT, POOL, "restart.suspect", DURATION, 0, 24u * HOUR, "", "0s",     \
      "SNAKEPIT_RESTART_SUSPECT", pool, suspect_ms,                                    \
      "Time in which a place is avoided after its worker crashed, when another one "   \
      "is free.")                                                                      \
    X(RETRY_ATTEMPTS, POOL, "retry.attempts", COUNT, 1, 100, "", "3",                  \
      "SNAKEPIT_RETRY_ATTEMPTS", pool, attempts_max,                                   \
      "Most attempts of one call, the first included. Calls that have not begun are "  \
      "sent again by themselves, begun ones only when they are idempotent.")           \
    X(RETRY_BUDGET, POOL, "retry.budget", COUNT, 1, 1000000, "", "",                   \
      "SNAKEPIT_RETRY_BUDGET", pool, retry_budget,                                     \
      "Bounds repetitions of begun calls: half of it at once, and one more for ten "   \
      "calls that go well. Without it four for each call the pool can run at once, "   \
      "at least 10.")                                                                  \
    X(RETRY_POISON, POOL, "retry.poison", COUNT, 1, 100, "", "2",                      \
      "SNAKEPIT_RETRY_POISON", pool, poison_deaths,                                    \
      "A call that has ended as many workers is given up.")                            \
    X(RETRY_POISON_BLOCK, POOL, "retry.poison_block", DURATION, 0, 24u * HOUR, "",     \
      "0s", "SNAKEPIT_RETRY_POISON_BLOCK", pool, poison_block_ms,                      \
      "Time in which calls with the same tool and arguments are refused after that.")  \
    X(REQUEST_MAX, POOL, "request_max", SIZE, 1u * KIB, 1024u * MIB, "", "128MiB",     \
      "SNAKEPIT_REQUEST_MAX", pool, request_max_bytes,                                 \
      "Largest arguments of a call: their JSON and what travels beside it.")           \
    X(RESPONSE_MAX, POOL, "response_max", SIZE, 1u * KIB, 1024u * MIB, "", "128MiB",   \
      "SNAKEPIT_RESPONSE_MAX", pool, response_max_bytes,                               \
      "Largest result or chunk of a stream.")                                          \
    X(SHARED_MIN, POOL, "shared_memory.min", SIZE_ANY, 64u * KIB, 1024u * MIB, "",     \
      "256KiB", "SNAKEPIT_SHARED_MEMORY_MIN", pool, shared_min_bytes,                  \
      "Arrays and bytes of so many go through memory that the program and a worker "   \
      "share; smaller ones, and all with never, by the socket.")                       \
    X(SHARED_MAX, POOL, "shared_memory.max", SIZE, 1u * MIB, 1024u * MIB, "", "64MiB", \
      "SNAKEPIT_SHARED_MEMORY_MAX", pool, shared_max_bytes,                            \
      "Of it for each worker, each way; used only as far as it is needed. What finds " \
      "no place there goes by the socket.")                                            \
    X(LIMITS_MEMORY, POOL, "limits.memory", SIZE_ANY, 1u * MIB, 1024ull * 1024u * MIB, \
      "", "never", "SNAKEPIT_LIMITS_MEMORY", pool, limit_memory_bytes,                 \
      "Memory of a worker with all it starts; the kernel kills one that takes more. "  \
      "Bounded by a control group where one can be made.")                             \
    X(LIMITS_PROCESSES, POOL, "limits.processes", COUNT, 1, 4194304, "", "",           \
      "SNAKEPIT_LIMITS_PROCESSES", pool, limit_processes,                              \
      "Processes and threads of a worker with all it starts. Bounded by a control "    \
      "group where one can be made. Without it there is no limit.")                    \
    X(LIMITS_FILES, POOL, "limits.files", COUNT, 16, 1048576, "", "",                  \
      "SNAKEPIT_LIMITS_FILES", pool, limit_files,                                      \
      "Open descriptors of a worker. Without it as many as the program may have.")     \
    X(LIMITS_CORE, POOL, "limits.core", SIZE_ANY, 0, 1024ull * 1024u * MIB, "", "0B",  \
      "SNAKEPIT_LIMITS_CORE", pool, limit_core_bytes,                                  \
      "Size of a core file. never leaves it as the program has it.")                   \
    X(NICE, POOL, "nice", COUNT, 0, 19, "", "0", "SNAKEPIT_NICE", pool, nice,          \
      "How much nicer than the program workers are to others: 19 is nicest.")          \
    X(UMASK, POOL, "umask", MASK, 0, 0777, "", "", "SNAKEPIT_UMASK", pool, umask,      \
      "The umask of workers, in octal: 077 keeps their files from others. Without it " \
      "that of the program.")                                                          \
    X(ENV_PASS, POOL, "env.pass", VARIABLE_NAMES, 1, 255, "", "", "", pool, env_pass,  \
      "Environment variables that workers inherit. Without it all of them; an empty "  \
      "list gives a clean environment.")                                               \
    X(ENV_SET, POOL, "env.set", VARIABLES, 0, 32768, "", "", "", pool, env_set,        \
      "Environment variables set for workers: a map from name to text.")

#endif
