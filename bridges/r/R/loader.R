# SPDX-License-Identifier: MIT

# From an adapter's name to the tools a worker serves:
#
#   showcase        the adapter that comes with the package
#   file.R          the tools it declares with tool(), or else its functions
#   file.R:name     the functions of a list or environment of that name in it
#   none            no adapter: there are no tools

LIFE <- c("setup", "close", "session_ended")

load_adapter <- function(spec) {
  declared$tools <- list()
  if (spec == "none") return(list(tools = list(), life = list()))
  place <- environment_of(spec)
  found <- declared$tools
  if (length(found) == 0) {
    for (name in setdiff(ls(place), LIFE)) {
      run <- get(name, envir = place)
      if (is.function(run)) {
        found[[name]] <- list(name = name, run = run, description = NULL, params = list(),
                              stream = FALSE, idempotent = FALSE)
      }
    }
  }
  if (length(found) == 0) stop("adapter ", spec, ": neither tool() nor a function in it")
  list(tools = lapply(found, entry_of), life = life_of(place))
}

environment_of <- function(spec) {
  if (spec == "showcase") {
    declare_showcase()
    return(new.env())
  }
  file <- sub("(\\.[Rr]):[^/]*$", "\\1", spec)
  if (!file.exists(file)) stop("adapter ", spec, ": no such file")
  place <- new.env(parent = globalenv())
  sys.source(file, envir = place, keep.source = TRUE, chdir = FALSE)
  if (file == spec) return(place)
  name <- substring(spec, nchar(file) + 2)
  inner <- get0(name, envir = place, inherits = FALSE)
  if (!is.list(inner) && !is.environment(inner)) stop(file, " has no list or environment ", name)
  as.environment(inner)
}

life_of <- function(place) {
  found <- lapply(stats::setNames(LIFE, LIFE), get0, envir = place, mode = "function", inherits = FALSE)
  found[!vapply(found, is.null, logical(1))]
}

# What the loop and the announcement need of a tool.
entry_of <- function(facts) {
  parameters <- as.list(formals(args(facts$run)))
  own <- setdiff(names(parameters), c("...", "ctx"))
  is_required <- vapply(parameters[own], function(default) {
    is.symbol(default) && identical(as.character(default), "")
  }, logical(1))
  facts$names <- own
  facts$required <- own[is_required]
  facts$takes_any <- "..." %in% names(parameters)
  facts$takes_context <- "ctx" %in% names(parameters)
  facts
}

# list(name, type, description, default as JSON) of each parameter.
announced <- function(entry) {
  names <- union(entry$names, names(entry$params))
  params <- lapply(names, function(name) {
    facts <- entry$params[[name]]
    if (!is.list(facts)) facts <- list(type = facts)
    default <- if ("default" %in% names(facts)) {
      .Call(C_encode, facts$default)[[1]]
    } else if (!name %in% entry$required && name %in% entry$names) {
      "null"
    }
    list(name, facts$type, facts$description, default)
  })
  c(params, if (entry$takes_any) list(list("**", "any", NULL, "null")))
}
