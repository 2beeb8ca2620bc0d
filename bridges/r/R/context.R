# SPDX-License-Identifier: MIT

# The call that runs, as its tool sees it.

milliseconds <- function(seconds) if (is.null(seconds)) 0 else max(1, ceiling(seconds * 1000))

named_list <- function(args) {
  args <- as.list(args)
  if (length(args) == 0) names(args) <- character(0)
  args
}

# Raised for what the host refuses: the class of its code before snakepit_host_error.
host_classes <- c(
  "SP-NOT-FOUND" = "not_found", "SP-EXISTS" = "already_exists",
  "SP-INVAL" = "bad_value", "SP-BAD-VALUE" = "bad_value", "SP-BAD-JSON" = "bad_value",
  "SP-TOO-DEEP" = "bad_value", "SP-TOO-BIG" = "bad_value",
  "SP-CONFLICT" = "version_conflict", "SP-LOCKED" = "variable_locked",
  "SP-CYCLE" = "dependency_cycle", "SP-TOO-SLOW" = "watch_too_slow",
  "SP-QUOTA" = "quota_exceeded", "SP-STORE-FULL" = "quota_exceeded",
  "SP-TIMEOUT" = "host_timeout", "SP-QUEUE-TIMEOUT" = "host_timeout",
  "SP-NO-TOOL" = "tool_not_found", "SP-BAD-ARGS" = "tool_arguments_error",
  "SP-RECURSION" = "tool_recursion", "SP-DEADLOCK" = "tool_recursion",
  "SP-REMOTE" = "tool_error"
)

raise_host <- function(code, message, remote_type, remote_trace, remote_details) {
  own <- host_classes[code]
  classes <- c(if (!is.na(own)) unname(own), "snakepit_host_error", "error", "condition")
  stop(structure(class = classes,
                 list(message = message, call = NULL, code = code, remote_type = remote_type,
                      remote_trace = remote_trace, remote_details = remote_details)))
}

raise_interrupt <- function() {
  signalCondition(structure(class = c("interrupt", "condition"),
                            list(message = "nobody waits for this call any more", call = NULL)))
  stop("nobody waits for this call any more")
}

# The call's session begins when it is first needed.
in_session <- function(ask) {
  tryCatch(ask(), not_found = function(refusal) {
    if (!startsWith(conditionMessage(refusal), "no session")) stop(refusal)
    .Call(C_session_begin)
    ask()
  })
}

# A list of functions and facts:
#   session, metadata              in which session it was called (NULL: none)
#   time_left(), cancelled()       seconds until the deadline (NULL: none)
#   get(name), set(name, value)    variables; set() registers what is not there
#   variable(name), variables(pattern), register(..), delete(name), history(name)
#   call_host(name, args), call_tool(name, args, pool)
#   stream_host(name, args, each, pool)    each(item) for every chunk
#   store_program(id, data), program(id), delete_program(id)
# It is for the call only: later every question fails.
current <- function() {
  facts <- .Call(C_facts)
  if (is.null(facts[[4]])) return(NULL)
  list(session = facts[[1]], metadata = facts[[4]],
       time_left = function() .Call(C_facts)[[2]],
       cancelled = function() isTRUE(.Call(C_facts)[[3]]),
       get = function(name) variable(name)$value,
       set = set_variable, variable = variable, register = register_variable,
       delete = function(name) invisible(.Call(C_variable_delete, name)),
       variables = function(pattern = NULL) in_session(function() .Call(C_variables, pattern)),
       history = function(name) in_session(function() .Call(C_history, name)),
       host_tools = function() .Call(C_host_tools),
       call_host = function(name, args = list(), timeout = NULL)
         .Call(C_call_tool, name, named_list(args), NULL, milliseconds(timeout)),
       call_tool = function(name, args = list(), pool = "", timeout = NULL)
         .Call(C_call_tool, name, named_list(args), pool, milliseconds(timeout)),
       stream_host = stream_host,
       store_program = function(id, data, global = FALSE, ttl = NULL)
         in_session(function() .Call(C_program_store, global, id, data, milliseconds(ttl))),
       program = function(id, global = FALSE)
         in_session(function() .Call(C_program_get, global, id)),
       delete_program = function(id, global = FALSE) .Call(C_program_delete, global, id))
}

variable <- function(name) in_session(function() .Call(C_variable_get, name))

set_variable <- function(name, value, metadata = NULL, changed_by = NULL, expected_version = NULL) {
  options <- list(NULL, metadata, changed_by, expected_version)
  set <- function() .Call(C_variable_set, name, value, options)
  version <- tryCatch(in_session(set), not_found = function(refusal) {
    if (!is.null(expected_version)) stop(refusal)
    register_variable(name, value, metadata = metadata, changed_by = changed_by)$version
  })
  invisible(version)
}

register_variable <- function(name, value, type = NULL, constraints = NULL, metadata = NULL,
                              changed_by = NULL) {
  options <- list(constraints, metadata, changed_by, NULL)
  in_session(function() .Call(C_variable_register, name, type, value, options))
}

stream_host <- function(name, args = list(), each, pool = NULL, timeout = NULL) {
  source <- .Call(C_stream_open, name, named_list(args), pool, milliseconds(timeout))
  on.exit(.Call(C_stream_close, source))
  while (!is.null(item <- .Call(C_stream_next, source))) each(item[[1]])
  invisible(NULL)
}

# Report an event to whoever listens to the worker; whether somebody gets it. Figures are
# numbers, logicals and texts, facts become texts: named lists, or NULL.
emit <- function(name, measurements = NULL, metadata = NULL, correlation_id = NULL) {
  as_named <- function(values) if (!is.null(values)) named_list(values)
  .Call(C_report, as_text(name), as_named(measurements), as_named(metadata), correlation_id)
}
