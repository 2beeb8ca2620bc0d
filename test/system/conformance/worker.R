# SPDX-License-Identifier: MIT

# The tools of the conformance list (docs/conformance.md), in R.
library(snakepitBridge)

note <- function(path, word) cat(word, "\n", file = path, sep = "", append = TRUE)

# ---- values ----

tool("echo", function(value) value)

tool("kind", function(value) {
  if (is.null(value)) "null"
  else if (is.raw(value)) "bytes"
  else if (is.list(value)) if (is.null(names(value))) "list" else "map"
  else if (!is.null(dim(value)) || length(value) != 1) "list"
  else if (is.logical(value)) "boolean"
  else if (is.integer(value)) "integer"
  else if (is.numeric(value)) "float"
  else "string"
})

tool("add", function(a, b) a + b, params = list(a = "int", b = "int"))
tool("negate", function(value) -value)
tool("specials", function() c(NaN, Inf, -Inf))
tool("make_bytes", function(size) as.raw((seq_len(size) - 1) %% 256))
tool("take_bytes", function(data) c(length(data), sum(as.integer(data))))
tool("matrix", function(rows, columns) {
  matrix(as.numeric(seq_len(rows * columns) - 1), rows, columns, byrow = TRUE)
})
tool("total", function(matrix) list(dim(matrix), sum(matrix)))

# ---- telemetry ----

tool("report", function(name, amount, note) {
  emit(name, list(amount = amount), list(note = note))
}, params = list(name = "str", amount = "int", note = "str"))

# ---- failures ----

conformance_error <- function(message, parent = NULL) {
  structure(class = c("ConformanceError", "error", "condition"),
            list(message = message, call = sys.call(-1), parent = parent))
}

fail <- function(message) {
  tryCatch(stop("the cause"), error = function(cause) stop(conformance_error(message, cause)))
}
tool("fail", function(message) fail(message), params = list(message = "str"))

# ---- streams ----

counting <- function(n, at_end) {
  i <- -1
  stream(function() {
    i <<- i + 1
    if (i < n) list(i = i) else at_end()
  })
}

tool("count", function(n) counting(n, end_of_stream), stream = TRUE)
tool("fail_after", function(n) counting(n, function() stop(conformance_error(paste("after", n)))),
     stream = TRUE)

tool("endless", function(path, made) {
  i <- 0
  text <- strrep("x", 1000)
  file <- file(made, "wb")
  stream(function() {
    i <<- i + 1
    seek(file, 0, rw = "write")
    writeBin(charToRaw(sprintf("%020d", i)), file)
    flush(file)
    list(i = i, text = text)
  }, close = function() {
    close(file)
    note(path, "closed")
  })
}, stream = TRUE)

# ---- time ----

tool("sleep", function(path, seconds) {
  note(path, "started")
  tryCatch({
    Sys.sleep(seconds)
    "slept"
  }, interrupt = function(condition) {
    note(path, "cancelled")
    signalCondition(condition)
  })
})

tool("hang", function(path) {
  suspendInterrupts({
    note(path, "started")
    repeat {}
  })
})

tool("time_left", function(ctx) {
  left <- ctx$time_left()
  if (is.null(left)) NULL else floor(left * 1000)
})

# ---- the session and the host ----

tool("session", function(ctx) ctx$session)

tool("metadata", function(ctx) ctx$metadata)
tool("set_variable", function(name, value, ctx) { ctx$set(name, value); NULL })
tool("get_variable", function(name, ctx) ctx$get(name))
tool("call_host", function(name, args, ctx) ctx$call_host(name, args))
tool("call_worker", function(pool, name, args, ctx) ctx$call_tool(name, args, pool))

# ---- the process ----

tool("say", function(text) {
  print(text)
  message(text)
  system2("printf", c("%s\\\\n", shQuote(text)))
  text
})

tool("flood", function(lines) {
  for (i in seq_len(lines)) {
    cat("line", i, "of what nobody reads\n")
    cat("line", i, "of what nobody reads\n", file = stderr())
  }
  lines
})

tool("pid", function() Sys.getpid())
tool("child", function(seconds) { system2("sleep", seconds, wait = FALSE); NULL })
tool("leave", function(code) quit("no", code, runLast = FALSE))
tool("crash", function() tools::pskill(Sys.getpid(), 11))
