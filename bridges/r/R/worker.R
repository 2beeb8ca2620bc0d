# SPDX-License-Identifier: MIT

# A worker process: open the connections the host left, load the adapter, serve. What is
# not known here is the adapter's: commandArgs(TRUE) of a program started by hand, and
# getOption("snakepit.arguments") always.

INHERITED <- c("SNAKEPIT_CALL_FD", "SNAKEPIT_HOST_FD", "SNAKEPIT_PAGE_FD", "SNAKEPIT_MEMORY_FD",
               "SNAKEPIT_CALL_IN_FD", "SNAKEPIT_CALL_OUT_FD")
SIGURG <- 23L
SIGQUIT <- 3L

parse_arguments <- function(arguments) {
  known <- list(adapter = "showcase", listen = NULL)
  rest <- character(0)
  i <- 1
  while (i <= length(arguments)) {
    word <- arguments[i]
    name <- sub("^--(adapter|listen)(=.*)?$", "\\1", word)
    if (name == word) {
      rest <- c(rest, word)
    } else if (grepl("=", word, fixed = TRUE)) {
      known[[name]] <- sub("^[^=]*=", "", word)
    } else {
      i <- i + 1
      if (i > length(arguments)) stop(word, " needs a value", call. = FALSE)
      known[[name]] <- arguments[i]
    }
    i <- i + 1
  }
  c(known, list(rest = rest))
}

# The signal an environment variable names: the usual one, a number or none (0).
signal_number <- function(variable, usual, number) {
  signal <- Sys.getenv(variable, usual)
  if (signal %in% c("", "0", "none")) 0L
  else if (grepl("^[0-9]+$", signal)) as.integer(signal)
  else if (signal %in% c(usual, paste0("SIG", usual))) number
  else stop(variable, ": SIG", usual, ", a number or none, not ", signal, call. = FALSE)
}

open_worker <- function(listen) {
  .Call(C_open, paste0("r ", getRversion()), listen,
        signal_number("SNAKEPIT_CANCEL_SIGNAL", "URG", SIGURG),
        signal_number("SNAKEPIT_STACK_SIGNAL", "QUIT", SIGQUIT))
  Sys.unsetenv(INHERITED) # a child must not take them for its own
}

announce <- function(tools) {
  for (entry in tools) {
    .Call(C_add_tool, entry$name, entry$description, entry$stream, announced(entry),
          entry$idempotent)
  }
  address <- .Call(C_announce)
  if (!is.null(address)) cat("snakepit worker: listening on ", address, "\n", sep = "")
}

run_adapter <- function(found) {
  state$tools <- stats::setNames(found$tools, vapply(found$tools, `[[`, "", "name"))
  state$session_ended <- found$life$session_ended
  on.exit(if (!is.null(found$life$close)) found$life$close())
  announce(found$tools)
  loop()
}

refuse <- function(condition, permanent) {
  message <- conditionMessage(condition)
  message("snakepit_worker.R: ", message)
  .Call(C_refuse, permanent, class(condition)[1], message, NULL)
  NULL
}

# Run a worker; gives its exit status.
main <- function(arguments) {
  given <- parse_arguments(arguments)
  options(snakepit.arguments = given$rest)
  open_worker(given$listen)
  on.exit(.Call(C_close))
  permanent <- TRUE
  found <- tryCatch({
    loaded <- load_adapter(given$adapter)
    permanent <- FALSE # what setup lacks now it may have another time
    if (!is.null(loaded$life$setup)) loaded$life$setup()
    loaded
  }, error = function(condition) refuse(condition, permanent))
  if (is.null(found)) return(1L)
  run_adapter(found)
  0L
}

# Serve the tools that were declared, for a program that is a worker of its own.
serve <- function() {
  open_worker(NULL)
  on.exit(.Call(C_close))
  run_adapter(list(tools = lapply(declared$tools, entry_of), life = list()))
}
