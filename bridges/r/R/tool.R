# SPDX-License-Identifier: MIT

# What an adapter says: its tools, its streams, whose fault it was.

declared <- new.env(parent = emptyenv())
declared$tools <- list()

# Declare a tool.
#   run          a function; its parameters are the tool's, those with a default may be left
#                out; one named ctx gets the call
#   params       named: a type ("int", "number", "str", "bool", "list", "dict", "bytes",
#                "any"), or list(type =, default =, description =)
#   stream       it gives a stream(), and can only be called as one
#   idempotent   running it twice does no harm: repeated when its worker dies
tool <- function(name, run, description = NULL, params = list(), stream = FALSE,
                 idempotent = FALSE) {
  if (!is.function(run)) stop("tool ", name, ": run is no function")
  declared$tools[[name]] <- list(name = name, run = run, description = description,
                                 params = as.list(params), stream = stream,
                                 idempotent = idempotent)
  invisible(run)
}

end_mark <- structure(list(), class = "snakepit_end")

# What next_item gives when there is nothing more.
end_of_stream <- function() end_mark

# A stream: next_item() gives one item after the other, then end_of_stream(). It is called
# when its reader has room. close() is called when the stream ends, however it does.
stream <- function(next_item, close = NULL) {
  structure(list(next_item = next_item, close = close), class = "snakepit_stream")
}

# End the call: its arguments are wrong, which is the caller's fault.
bad_arguments <- function(...) {
  stop(structure(class = c("bad_arguments", "error", "condition"),
                 list(message = paste0(...), call = sys.call(-1))))
}

# An array of numbers as a matrix: a list of rows that differ in kind becomes one too.
as_rows <- function(x) {
  if (is.matrix(x)) x else do.call(rbind, lapply(x, unlist))
}
