# SPDX-License-Identifier: MIT

# The loop: take a call, run its tool, answer.
#
# Interrupts are suspended but for the time a tool runs. An error is met where it was
# raised, so that the calls which led there can be told, and then unwinds to the loop.

state <- new.env(parent = emptyenv())
state$tools <- list()
state$streams <- new.env(parent = emptyenv())
state$last_stream <- 0
state$session_ended <- NULL

tell_session_end <- function(session) {
  if (!is.null(state$session_ended)) state$session_ended(session)
}

# ---- arguments ----

# The arguments of a call as those of the function; what does not fit is the caller's fault.
arrange <- function(entry, args) {
  if (is.null(names(args))) {
    args <- as.list(args)
  } else {
    unknown <- if (entry$takes_any) character(0) else setdiff(names(args), entry$names)
    if (length(unknown) > 0) bad_arguments("there is no argument \"", unknown[1], "\"")
    missing <- setdiff(entry$required, names(args))
    if (length(missing) > 0) bad_arguments("argument \"", missing[1], "\" is missing")
  }
  if (entry$takes_context) args["ctx"] <- list(current())
  args
}

# ---- failures ----

MAX_TRACE_CALLS <- 50

describe_calls <- function(calls) {
  own <- vapply(calls, function(call) identical(call[[1]], quote(run_tool)), logical(1))
  if (any(own)) calls <- calls[-seq_len(max(which(own)))]
  lines <- vapply(utils::head(calls, MAX_TRACE_CALLS), function(call) {
    place <- utils::getSrcref(call)
    text <- paste(utils::head(deparse(call, width.cutoff = 80L, nlines = 1L), 1), collapse = "")
    file <- utils::getSrcFilename(call)
    if (length(file) == 1 && !is.null(place)) paste0(text, "  at ", file, ":", place[1]) else text
  }, character(1))
  lines[!grepl("^(\\.handleSimpleError|h\\(simpleError|stop\\(|doTryCatch|tryCatch)", lines)]
}

# What R is in now, as the host is told; the caller of this is in C.
stack_lines <- function() {
  calls <- sys.calls()
  vapply(describe_calls(calls[-length(calls)]), as_text, "", USE.NAMES = FALSE)
}

# One text in UTF-8, whatever it was: an answer takes no other.
as_text <- function(value) {
  text <- paste(as.character(value), collapse = "\n")
  if (Encoding(text) != "bytes") text <- enc2utf8(text)
  iconv(text, "UTF-8", "UTF-8", sub = "byte")
}

# The method of its class may fail.
message_of <- function(condition) {
  tryCatch(as_text(conditionMessage(condition)), error = function(failure) "")
}

# The condition, the calls that led to it, and what it says it was caused by.
describe <- function(condition, calls) {
  lines <- c(paste0(class(condition)[1], ": ", message_of(condition)),
             paste0("  in ", describe_calls(calls)))
  parent <- condition$parent
  while (inherits(parent, "condition")) {
    lines <- c(lines, paste0("caused by ", class(parent)[1], ": ", message_of(parent)))
    parent <- parent$parent
  }
  as_text(lines)
}

MAX_CAUSES <- 10

# What led to it, in the form of sp_error.remote_details in snakepit/error.h; NULL: nothing.
details_of <- function(condition) {
  causes <- elsewhere(condition)
  parent <- condition$parent
  while (inherits(parent, "condition") && length(causes) < MAX_CAUSES) {
    told <- list(link = "cause", type = as_text(class(parent)[1]), message = message_of(parent))
    causes <- c(causes, list(told), elsewhere(parent))
    parent <- parent$parent
  }
  if (length(causes) > 0) list(causes = utils::head(causes, MAX_CAUSES))
}

# What was raised in another process, when this condition stands for it.
elsewhere <- function(condition) {
  if (!inherits(condition, "snakepit_host_error") || is.null(condition$remote_type)) return(list())
  told <- list(link = "cause", type = condition$remote_type, message = message_of(condition))
  if (!is.null(condition$remote_trace)) told$traceback <- condition$remote_trace
  c(list(told), condition$remote_details$causes)
}

# What a tool gave: list(value =), or list(failed =, calls =), or list(interrupted = TRUE).
run_guarded <- function(code) {
  calls <- NULL
  tryCatch(
    list(value = withCallingHandlers(allowInterrupts(code()), error = function(condition) {
      if (is.null(calls)) calls <<- sys.calls()
    })),
    error = function(condition) list(failed = condition, calls = calls),
    interrupt = function(condition) list(interrupted = TRUE)
  )
}

run_tool <- function(code) code()

answer_failure <- function(outcome) {
  if (!is.null(outcome$interrupted)) return(.Call(C_fail, "cancelled", NULL, NULL, NULL, NULL))
  tryCatch(answer_condition(outcome$failed, outcome$calls), error = function(failure) {
    .Call(C_fail, "remote", class(failure)[1], NULL, NULL, NULL)
  })
}

answer_condition <- function(condition, calls) {
  message <- message_of(condition)
  if (inherits(condition, "bad_arguments")) {
    .Call(C_fail, "bad arguments", "bad_arguments", message, NULL, NULL)
  } else if (inherits(condition, "no_such_tool")) {
    .Call(C_fail, "no tool", "no_such_tool", message, NULL, NULL)
  } else {
    trace <- tryCatch(describe(condition, calls), error = function(failure) NULL)
    details <- tryCatch(details_of(condition), error = function(failure) NULL)
    .Call(C_fail, "remote", as_text(class(condition)[1]), message, trace, details)
  }
}

# ---- streams ----

# What a tool gave as a stream: the elements of a vector or list, one by one, or the only
# item.
as_stream <- function(value, is_stream) {
  if (inherits(value, "snakepit_stream")) return(value)
  if (is_stream && is.function(value)) return(stream(value))
  items <- if (is_stream && is.null(names(value))) as.list(value) else list(value)
  at <- 0
  stream(function() {
    at <<- at + 1
    if (at > length(items)) end_of_stream() else items[[at]]
  })
}

close_stream <- function(source) {
  if (is.null(source$close)) return(invisible())
  tryCatch(source$close(), error = function(condition) {
    message("closing a stream: ", message_of(condition))
  })
}

# Send items until the stream ends, waits, fails or is not wanted any more.
go_on <- function(id, source) {
  repeat {
    if (isTRUE(.Call(C_facts)[[3]])) {
      close_stream(source)
      .Call(C_end)
      return(forget(id))
    }
    sent <- NULL
    outcome <- run_guarded(function() {
      item <- run_tool(source$next_item)
      if (!inherits(item, "snakepit_end")) sent <<- suspendInterrupts(.Call(C_chunk, item))
    })
    if (!is.null(outcome$failed) || !is.null(outcome$interrupted)) {
      close_stream(source)
      answer_failure(outcome)
      return(forget(id))
    }
    if (is.null(sent)) {
      close_stream(source)
      .Call(C_end)
      return(forget(id))
    }
    if (sent == 0) {
      .Call(C_park, id)
      return(assign(as.character(id), source, envir = state$streams))
    }
  }
}

forget <- function(id) {
  key <- as.character(id)
  if (exists(key, envir = state$streams, inherits = FALSE)) rm(list = key, envir = state$streams)
}

# ---- one call ----

start_call <- function() {
  call <- NULL
  outcome <- run_guarded(function() {
    call <<- suspendInterrupts(.Call(C_call))
    if (is.null(call$code)) run_call(call)
  })
  if (is.null(call) && !is.null(outcome$failed)) {
    return(.Call(C_fail, "no memory", NULL, message_of(outcome$failed), NULL, NULL))
  }
  if (!is.null(outcome$failed) || !is.null(outcome$interrupted)) return(answer_failure(outcome))
  if (!is.null(call$code)) return(.Call(C_fail, call$code, NULL, call$why, NULL, NULL))
  if (call$stream) {
    state$last_stream <- state$last_stream + 1
    return(go_on(state$last_stream, outcome$value))
  }
  replied <- FALSE
  sent <- run_guarded(function() {
    suspendInterrupts({
      .Call(C_reply, outcome$value)
      replied <<- TRUE
    })
  })
  if (!replied) answer_failure(sent)
}

# What the tool gave; of a call for a stream, the stream.
run_call <- function(call) {
  entry <- state$tools[[call$tool]]
  if (is.null(entry)) no_such_tool(call$tool)
  if (entry$stream && !call$stream) bad_arguments(call$tool, " is a stream: call it as one")
  args <- arrange(entry, call$args)
  value <- run_tool(function() do.call(entry$run, args, quote = TRUE))
  if (call$stream) as_stream(value, entry$stream) else value
}

no_such_tool <- function(name) {
  names <- sort(names(state$tools))
  stop(structure(class = c("no_such_tool", "error", "condition"),
                 list(message = paste0("no tool \"", name, "\"; there are: ",
                                       if (length(names) == 0) "none" else paste(names, collapse = ", ")),
                      call = NULL)))
}

loop <- function() {
  suspendInterrupts({
    while (!is.null(id <- .Call(C_next))) {
      if (id > 0) {
        go_on(id, get(as.character(id), envir = state$streams))
      } else {
        start_call()
      }
    }
    for (key in ls(state$streams)) close_stream(get(key, envir = state$streams))
  })
}
