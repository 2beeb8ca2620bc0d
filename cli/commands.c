/* SPDX-License-Identifier: MIT */
/*
 * The table of commands: what each is called, takes and tells in --help.
 *
 * Help, completion and "did you mean" read this table, so a command is described once.
 */
#include "state.h"
#include "view.h"

#include <string.h>

#define CALL_OPTIONS                                                              \
    {"session", 's', "ID", OPTION_SESSION, "session the call belongs to"},        \
        {"affinity", 0, "WORD", OPTION_AFFINITY,                                  \
         "hint, none, strict_queue or strict_fail_fast"},                         \
        {"tool", 0, "NAME=COMMAND", OPTION_TOOL,                                  \
         "a command of the shell that workers may call"},                         \
        {"idempotent", 0, NULL, OPTION_IDEMPOTENT,                                \
         "it may be run again when its worker dies"},                             \
        {"timeline", 0, "FILE", OPTION_TIMELINE,                                  \
         "write when what happened, for Perfetto and Chrome"},                    \
    {                                                                             \
        "timeout", 't', "TIME", OPTION_TIMEOUT, "longest time, such as 30s or 2h" \
    }

/* Of commands that call: a daemon that is named has the pools then. */
#define DAEMON_OPTIONS                                                                 \
    {"connect", 0, "ADDRESS", OPTION_CONNECT, "call this daemon, such as unix:/path"}, \
    {                                                                                  \
        "instance", 0, "NAME", OPTION_INSTANCE, "call the daemon of this instance"     \
    }

static const struct option_spec call_options[] = {
    DAEMON_OPTIONS,
    CALL_OPTIONS,
    {"binary", 0, NULL, OPTION_BINARY,
     "write the raw bytes of the result, not its JSON"},
    {NULL, 0, NULL, OPTION_NONE, NULL},
};

static const struct option_spec stream_options[] = {
    DAEMON_OPTIONS,
    CALL_OPTIONS,
    {"count", 'n', "N", OPTION_COUNT, "stop after N chunks"},
    {"binary", 0, NULL, OPTION_BINARY, "write chunks as they are, without line ends"},
    {NULL, 0, NULL, OPTION_NONE, NULL},
};

static const struct option_spec run_options[] = {
    CALL_OPTIONS,
    {"parallel", 'j', "N", OPTION_PARALLEL,
     "run N lines at once; output keeps its order"},
    {"keep-going", 'k', NULL, OPTION_KEEP_GOING, "go on after a line that failed"},
    {NULL, 0, NULL, OPTION_NONE, NULL},
};

static const struct option_spec map_options[] = {
    CALL_OPTIONS,
    {"each", 0, "NAME", OPTION_EACH, "each line is the text of this argument, no JSON"},
    {"parallel", 'j', "N", OPTION_PARALLEL,
     "N calls under way, else what keeps the workers busy"},
    {"unordered", 'u', NULL, OPTION_UNORDERED, "print results as they are ready"},
    {"keep-going", 'k', NULL, OPTION_KEEP_GOING, "go on after a line that failed"},
    {NULL, 0, NULL, OPTION_NONE, NULL},
};

static const struct option_spec bench_options[] = {
    {"in-flight", 0, "N", OPTION_IN_FLIGHT,
     "N calls under way, an answer starts the next; else 64"},
    {"threads", 0, "N", OPTION_THREADS, "N threads that call and wait instead"},
    {"rate", 0, "N", OPTION_RATE, "N calls a second on a schedule instead"},
    {"duration", 'd', "TIME", OPTION_DURATION, "of each repetition, default 1s"},
    {"repeat", 0, "N", OPTION_REPEAT, "repetitions, default 5"},
    {"warm-up", 0, "TIME", OPTION_WARM_UP, "before the first, default 200ms, 0: none"},
    {"no-empty", 0, NULL, OPTION_NO_EMPTY, "do not measure an empty tool beside it"},
    {"connect", 0, "ADDRESS", OPTION_CONNECT, "call this daemon, such as unix:/path"},
    CALL_OPTIONS,
    {NULL, 0, NULL, OPTION_NONE, NULL},
};

static const struct option_spec inspect_options[] = {
    {"detailed", 0, NULL, OPTION_DETAILED, "each worker too"},
    {"recommendations", 0, NULL, OPTION_RECOMMENDATIONS, "what to change, and why"},
    VIEW_OPTIONS,
    {NULL, 0, NULL, OPTION_NONE, NULL},
};

static const struct option_spec scaling_options[] = {
    {"max", 0, "N", OPTION_COUNT, "start N workers at most, default 16"},
    {NULL, 0, NULL, OPTION_NONE, NULL},
};

/* Of commands that only look. */
static const struct option_spec view_options[] = {
    VIEW_OPTIONS,
    {NULL, 0, NULL, OPTION_NONE, NULL},
};

static const struct option_spec status_options[] = {
    VIEW_OPTIONS,
    {"deaths", 0, NULL, OPTION_DEATHS, "list how the last workers ended"},
    {"workers", 'w', NULL, OPTION_WORKERS, "list the workers too, as -o wide"},
    {NULL, 0, NULL, OPTION_NONE, NULL},
};

static const struct option_spec top_options[] = {
    VIEW_OPTIONS,
    {"delay", 'd', "TIME", OPTION_DELAY, "between two samples, default 1s"},
    {"once", 0, NULL, OPTION_ONCE, "print two tables and end"},
    {"sort", 0, "COLUMN", OPTION_SORT,
     "worker, calls, running, cpu, memory, age or restarts"},
    {NULL, 0, NULL, OPTION_NONE, NULL},
};

static const struct option_spec timeline_options[] = {
    VIEW_OPTIONS,
    {"count", 'n', "N", OPTION_COUNT, "the last N calls, default 1000, at most 4096"},
    {"out", 0, "FILE", OPTION_OUT, "write it there, not to standard output"},
    {NULL, 0, NULL, OPTION_NONE, NULL},
};

static const struct option_spec tools_options[] = {
    {"names", 0, NULL, OPTION_NAMES, "names only, one on a line"},
    {NULL, 0, NULL, OPTION_NONE, NULL},
};

static const struct option_spec write_options[] = {
    {"force", 'f', NULL, OPTION_FORCE, "replace files that exist"},
    {"lang", 0, "LANGUAGE", OPTION_LANG, "language of the adapter: python"},
    {NULL, 0, NULL, OPTION_NONE, NULL},
};

static const struct option_spec cleanup_options[] = {
    {"dry-run", 'n', NULL, OPTION_DRY_RUN,
     "only say what there is; 1 when there is some"},
    {"instance", 0, "NAME", OPTION_INSTANCE, "this instance only"},
    {NULL, 0, NULL, OPTION_NONE, NULL},
};

static const struct option_spec doctor_options[] = {
    {"fix-hints", 0, NULL, OPTION_FIX_HINTS, "print only what mends what is amiss"},
    {NULL, 0, NULL, OPTION_NONE, NULL},
};

static const struct option_spec events_options[] = {
    VIEW_OPTIONS,
    {"follow", 'f', NULL, OPTION_FOLLOW, "go on with events as they come"},
    {"since", 0, "TIME", OPTION_SINCE, "those of the last 10m, for example"},
    {"kind", 0, "PATTERN", OPTION_KIND,
     "names, prefixes such as worker., commas between them"},
    {"list", 0, NULL, OPTION_LIST, "list all events there are, and end"},
    {NULL, 0, NULL, OPTION_NONE, NULL},
};

static const struct option_spec logs_options[] = {
    VIEW_OPTIONS,
    {"follow", 'f', NULL, OPTION_FOLLOW, "go on with lines as they come"},
    {"count", 'n', "N", OPTION_COUNT, "begin with the last N lines"},
    {"level", 0, "LEVEL", OPTION_LEVEL, "as grave or more: error, warn, info or debug"},
    {"kind", 0, "EVENT", OPTION_KIND, "lines whose event begins with this"},
    {"worker", 0, "POOL/SLOT", OPTION_WORKER,
     "lines of this worker, such as default/0"},
    {NULL, 0, NULL, OPTION_NONE, NULL},
};

const struct command commands[] = {
    {"advise", "[POOL]", "say what to change in the configuration, and why",
     "Each advice has the figure that is its cause, the key to set and to what.\n"
     "Nothing is advised without one: exit code 0 when there is nothing to change,\n"
     "1 when there is.\n"
     "\n"
     "Examples:\n"
     "  snakepit advise\n"
     "  snakepit advise api -o json | jq '.recommendations[].figure'\n",
     view_options, cmd_advise, "", NULL},
    {"bench", "TOOL [ARGUMENTS]",
     "measure how fast a tool answers, and what is ours of it",
     "Starts the pool, warms it up and calls the tool over and over with the same\n"
     "arguments, those of `snakepit call`. Prints calls a second with the spread\n"
     "between repetitions, quantiles of the time a call takes, of that in the\n"
     "queue and of that in the worker, and an empty tool beside it. On a schedule\n"
     "a call's time begins when it was due. The exit code is 1 when calls failed.\n"
     "\n"
     "Examples:\n"
     "  snakepit bench add a=2 b=3\n"
     "  snakepit bench -a words.py count path=README.md --size 4 --in-flight 16\n"
     "  snakepit bench add a=2 b=3 --rate 5000 -d 10s -o json\n"
     "  snakepit bench add a=2 b=3 --connect unix:/run/snakepit/snakepit.sock\n"
     "  snakepit bench -m math.sqrt '[2]' --threads 8\n",
     bench_options, cmd_bench, "tools", NULL},
    {"call", "TOOL [ARGUMENTS]", "call a tool and print its result",
     "Starts one worker, calls the tool and ends the worker again; with --connect,\n"
     "--instance or SNAKEPIT_ADDRESS a daemon runs it. Standard output gets the "
     "result\n"
     "as one line of JSON and nothing else.\n"
     "\n"
     "Arguments:\n"
     "  a=5 s=hello     a value is JSON when it is valid JSON, else text\n"
     "  a:=5            the value must be JSON\n"
     "  a=@file         the text of a file; a:=@file reads JSON from it\n"
     "  '{\"a\": 5}'      all arguments as a JSON object; '[5]' gives positional ones\n"
     "  - or @file      all arguments, from standard input or a file\n"
     "\n"
     "Examples:\n"
     "  snakepit call add a=2 b=3\n"
     "  snakepit call process_text text=@README.md operation=upper\n"
     "  snakepit call -a adapter.py hello name=Ada\n"
     "  snakepit call -m statistics.fmean '[[1, 2, 3]]'\n"
     "  snakepit call compute --timeout 2s operation=add a=1 b=2\n",
     call_options, cmd_call, "tools", NULL},
    {"cleanup", "", "end what killed hosts left behind, and explain it",
     "A host with an instance name, such as snakepitd, writes down what it starts.\n"
     "Looks at every instance of yours: one whose host runs is left alone; what is\n"
     "left of a killed one is ended. A line for each row and process says what was\n"
     "found and why it is ours or not. A process is never taken for ours by its\n"
     "name.\n"
     "\n"
     "Examples:\n"
     "  snakepit cleanup --dry-run\n"
     "  snakepit cleanup --instance prod-a\n"
     "  snakepit cleanup -n -o json | jq '.instances[].processes'\n",
     cleanup_options, cmd_cleanup, "", NULL},
    {"complete", "WORDS", NULL, "", NULL, cmd_complete, "", NULL},
    {"completion", "bash|zsh|fish", "print the completion script of a shell",
     "Examples:\n"
     "  source <(snakepit completion bash)\n"
     "  snakepit completion zsh > ~/.zfunc/_snakepit\n"
     "  snakepit completion fish > ~/.config/fish/completions/snakepit.fish\n",
     NULL, cmd_completion, "bash|fish|zsh", NULL},
    {"config", "VERB", "check, show or explain the configuration",
     "A value comes from a flag, else the environment (SNAKEPIT_...), else the\n"
     "file, else the default. The file is --config, $SNAKEPIT_CONFIG,\n"
     "./snakepit.yaml, ~/.config/snakepit/snakepit.yaml or\n"
     "/etc/snakepit/snakepit.yaml.\n"
     "\n"
     "Examples:\n"
     "  snakepit config check snakepit.yaml\n"
     "  snakepit config show --changed\n"
     "  snakepit config explain queue.max\n",
     NULL, NULL, "", config_verbs},
    {"doctor", "", "check what workers need on this machine",
     "Looks at the configuration, kernel, limits and folders, the interpreter, the\n"
     "guard, the bridge and the adapter, and makes a real call. One line each: ok,\n"
     "warn or fail, with what mends it: a command to type or a key to set. Exit code\n"
     "1 when something failed.\n"
     "\n"
     "Examples:\n"
     "  snakepit doctor\n"
     "  snakepit doctor --python /opt/python3.12/bin/python3 -a myapp.adapters:Main\n"
     "  snakepit doctor --fix-hints\n"
     "  snakepit doctor -o json\n",
     doctor_options, cmd_doctor, "", NULL},
    {"drain", "WORKER", "replace a worker of a daemon, without losing a call",
     "A fresh worker starts; when it is ready the old one gets no more calls, ends\n"
     "those it has, and is stopped. WORKER is POOL/SLOT or a pid, as `snakepit\n"
     "status -o wide` shows them. Returns at once; `snakepit events -f` tells of\n"
     "the rest. Only the daemon's own user may.\n"
     "\n"
     "Examples:\n"
     "  snakepit drain api/3\n"
     "  snakepit drain 4121\n",
     view_options, cmd_drain, "", NULL},
    {"events", "", "show what has happened to a daemon's pools",
     "A daemon keeps the last events, 256 KiB of them, but for those that every\n"
     "call has; these are shown as they come, with -f. What comes faster than it is\n"
     "read is dropped, and how many that were is told. With -o json each line is an\n"
     "object.\n"
     "\n"
     "Examples:\n"
     "  snakepit events --since 10m\n"
     "  snakepit events -f --kind worker.,breaker.opened\n"
     "  snakepit events -f --kind request.executed -p api\n"
     "  snakepit events -o json | jq -r .event\n"
     "  snakepit events --list\n",
     events_options, cmd_events, "", NULL},
    {"explain", "[CODE|WORD]", "explain an error code or a word",
     "Causes of death, events, metrics and keys of the configuration too. Without\n"
     "an argument lists everything there is to explain.\n"
     "\n"
     "Examples:\n"
     "  snakepit explain SP-QUEUE-FULL\n"
     "  snakepit explain backoff\n"
     "  snakepit explain worker.died\n",
     NULL, cmd_explain, "words", NULL},
    {"gen", "adapter NAME", "write the template of an adapter",
     "Writes NAME.py with a class, tools and a stream. It works as it is.\n"
     "\n"
     "Example:\n"
     "  snakepit gen adapter weather\n"
     "  snakepit call -a weather.py hello name=Ada\n",
     write_options, cmd_gen, "adapter", NULL},
    {"hardware", "[DEVICE...]",
     "show what this machine can compute with, or choose of it",
     "Processors, memory and their limits, and devices: CUDA, ROCm, MPS. With\n"
     "DEVICEs only the first of them that is there: auto, cpu, cuda, cuda:N, rocm,\n"
     "rocm:N or mps.\n"
     "\n"
     "Examples:\n"
     "  snakepit hardware\n"
     "  snakepit hardware cuda mps cpu\n"
     "  snakepit hardware -o json | jq .capabilities\n",
     NULL, cmd_hardware, "", NULL},
    {"help", "[COMMAND]", "explain a command", "Example:\n  snakepit help call\n", NULL,
     cmd_help, "commands", NULL},
    {"init", "[DIR]", "write a configuration and an adapter to start with",
     "Writes snakepit.yaml and adapter.py into DIR (else here) that work at once.\n"
     "\n"
     "Example:\n"
     "  snakepit init demo && cd demo && snakepit call hello name=Ada\n",
     write_options, cmd_init, "folders", NULL},
    {"inspect", "[POOL]", "show the profile, capacity and memory of pools",
     "Of the daemon that runs, or of a pit of its own. Utilization is CRITICAL\n"
     "from 90 %, HIGH from 80 %, GOOD from 60 %, else LOW.\n"
     "\n"
     "Examples:\n"
     "  snakepit inspect\n"
     "  snakepit inspect api --detailed --recommendations\n"
     "  snakepit inspect -o json | jq '.pools[].utilization_percent'\n",
     inspect_options, cmd_inspect, "", NULL},
    {"kill", "WORKER", "kill a worker of a daemon, with the calls it has",
     "At once, with all that it has started; its calls fail, or are tried again where\n"
     "that is safe, and a fresh worker is started. WORKER is POOL/SLOT or a pid, as\n"
     "`snakepit status -o wide` shows them; `snakepit drain` loses no call. Only the\n"
     "daemon's own user may.\n"
     "\n"
     "Examples:\n"
     "  snakepit kill api/3\n"
     "  snakepit kill 4121\n",
     view_options, cmd_kill, "", NULL},
    {"logs", "", "show what a daemon has logged",
     "A daemon keeps the last lines of its log, log.keep bytes of them: what\n"
     "happened, failed and slow calls, and what workers printed. With -o json each\n"
     "line is an object.\n"
     "\n"
     "Examples:\n"
     "  snakepit logs -n 20\n"
     "  snakepit logs -f --worker default/0\n"
     "  snakepit logs --level warn -o json | jq -r .msg\n",
     logs_options, cmd_logs, "", NULL},
    {"map", "TOOL [ARGUMENTS]", "call a tool for every line of standard input",
     "Starts the pool and calls the tool once for each line, which is the JSON of\n"
     "its arguments, or the text of one of them (--each); an empty line is none.\n"
     "ARGUMENTS, as in `snakepit call`, belong to every call. Each result is a\n"
     "line, in the order of the input; with -o jsonl it comes with its line's\n"
     "number, and so do failures. It stops at the first line that fails, whose\n"
     "exit code it returns.\n"
     "\n"
     "Examples:\n"
     "  seq 1000 | sed 's/.*/{\"a\": &, \"b\": 1}/' | snakepit map add\n"
     "  ls *.txt | snakepit map -a words.py count --each path --size 4 -u -o jsonl\n"
     "  snakepit map process_text operation=upper --each text <README.md\n",
     map_options, cmd_map, "tools", NULL},
    {"metrics", "", "print the metrics",
     "Those of the daemon that runs; without one a pit of its own is started,\n"
     "looked at and closed. The format is -o prometheus (default), openmetrics,\n"
     "json or table.\n"
     "\n"
     "Examples:\n"
     "  snakepit metrics\n"
     "  snakepit metrics -o openmetrics >metrics.txt\n"
     "  snakepit metrics -o table | grep queue\n",
     view_options, cmd_metrics, "", NULL},
    {"program", "VERB", "store and read programs of a session, or of all",
     "A program is JSON that is kept under a name. It outlives the command.\n"
     "\n"
     "Examples:\n"
     "  snakepit program store alice classifier @classifier.json\n"
     "  snakepit program get alice classifier\n",
     state_options, NULL, "", program_verbs},
    {"run", "SCRIPT", "run a file of calls on one pit",
     "Starts the pools, waits until every worker is ready, runs the lines of\n"
     "SCRIPT (- is standard input) and leaves nothing behind. Each line prints one\n"
     "line of JSON, a stream one for each chunk. It stops at the first line that\n"
     "fails; the exit code is that of the first failure.\n"
     "\n"
     "  # a comment\n"
     "  add a=1 b=2\n"
     "  echo {\"quotes\": \"not needed around JSON\"}\n"
     "  call process_text text=\"two words\" operation=upper --timeout 5s\n"
     "  stream ping_stream count=3\n"
     "\n"
     "Examples:\n"
     "  snakepit run work.pit\n"
     "  snakepit run - --parallel 8 --size 4 <work.pit\n",
     run_options, cmd_run, "files", NULL},
    {"scaling", "", "find how many workers this machine can have",
     "Starts 1, 2, 4 ... workers of the pool, 16 at most unless --max says more,\n"
     "closes them again; takes descriptors, connections, ports, memory and clients\n"
     "of a daemon until they are refused, and gives them back; and reads the limits\n"
     "of the machine: which is met first, at how many workers, and what to set. Exit\n"
     "code 1 when a step failed.\n"
     "\n"
     "Examples:\n"
     "  snakepit scaling\n"
     "  snakepit scaling -a adapter.py --max 64\n"
     "  snakepit scaling -o json | jq .first\n",
     scaling_options, cmd_scaling, "", NULL},
    {"session", "VERB", "create, show, change and end sessions",
     "A session keeps variables, programs and metadata until it is not used for\n"
     "its time to live. It outlives the command.\n"
     "\n"
     "Examples:\n"
     "  snakepit session create alice --ttl 2h\n"
     "  snakepit session list\n",
     state_options, NULL, "", session_verbs},
    {"stack", "[WORKER]", "show what a daemon's workers do this moment",
     "Asks the worker POOL/SLOT, or that of a pid, or all, for their stacks; they\n"
     "go on with their calls. Python shows every thread, also while code in C\n"
     "holds its lock, Ruby its methods, Node.js and R theirs when they are back in\n"
     "their own code. Of others, and with -o wide, the threads are shown as the\n"
     "kernel sees them.\n"
     "\n"
     "Examples:\n"
     "  snakepit stack api/3\n"
     "  snakepit stack 4121 -o json | jq -r '.workers[].stack'\n"
     "  snakepit stack --instance prod-a\n",
     view_options, cmd_stack, "", NULL},
    {"status", "", "show how the pools are",
     "Those of the daemon that runs; without one a pit of its own is started,\n"
     "looked at and closed. Exit code 0 when every worker is ready, 1 when some\n"
     "are, 2 when none is.\n"
     "\n"
     "Examples:\n"
     "  snakepit status\n"
     "  snakepit status -o wide\n"
     "  snakepit status --deaths\n"
     "  snakepit status -o json | jq .state\n",
     status_options, cmd_status, "", NULL},
    {"stream", "TOOL [ARGUMENTS]", "call a tool and print its chunks as they come",
     "Standard output gets one line for each chunk. On a terminal a progress line on\n"
     "standard error counts them. Arguments, and where it runs, are as with\n"
     "`snakepit call`.\n"
     "\n"
     "Examples:\n"
     "  snakepit stream ping_stream count=5\n"
     "  snakepit stream tail_and_analyze file_path=/var/log/syslog --count 10\n"
     "  snakepit stream process_large_dataset file_path=data.csv -o jsonl | tail -1\n",
     stream_options, cmd_stream, "tools", NULL},
    {"timeline", "", "show when workers started and calls ran, as a trace",
     "The starts of workers with their phases (spawn, exec, import, announce), and\n"
     "the last calls with theirs, as JSON for https://ui.perfetto.dev and\n"
     "chrome://tracing. Of the daemon that runs, which records calls as its\n"
     "telemetry.sample has it; without one of a pit of its own. `snakepit call\n"
     "--timeline FILE` shows one call.\n"
     "\n"
     "Examples:\n"
     "  snakepit timeline --out trace.json\n"
     "  snakepit call add a=1 b=2 --timeline trace.json\n",
     timeline_options, cmd_timeline, "", NULL},
    {"tools", "[NAME]", "list the tools of a pool, or explain one",
     "Examples:\n"
     "  snakepit tools\n"
     "  snakepit tools add\n"
     "  snakepit tools -a adapter.py -o json\n",
     tools_options, cmd_tools, "tools", NULL},
    {"top", "", "watch the pools and workers of a daemon",
     "On a terminal a screen with keys: q ends it, ? explains the others, among them\n"
     "those that show a worker's stack and log, drain it and kill it.\n"
     "Elsewhere, and with --once, two tables; what is a rate is measured over the\n"
     "delay.\n"
     "\n"
     "Examples:\n"
     "  snakepit top\n"
     "  snakepit top --sort memory --delay 5s\n"
     "  snakepit top --once\n"
     "  snakepit top -o json | jq '.pools[].calls_per_second'\n",
     top_options, cmd_top, "", NULL},
    {"var", "VERB", "register, read, change and watch variables of a session",
     "A variable has a type and constraints, which every new value must fit, and\n"
     "keeps its earlier versions.\n"
     "\n"
     "Examples:\n"
     "  snakepit var register alice temperature float 0.7 \\\n"
     "      --constraints '{\"max\": 2}'\n"
     "  snakepit var set alice temperature 0.9\n"
     "  snakepit var get alice temperature\n",
     state_options, NULL, "", var_verbs},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

const struct command *command_find(const char *name)
{
    for (const struct command *command = commands; command->name != NULL; command++) {
        if (strcmp(command->name, name) == 0) {
            return command;
        }
    }
    return NULL;
}
