# SPDX-License-Identifier: MIT

# One tool of each kind, to try a pool with.
declare_showcase <- function() {
  tool("ping", function() list(status = "ok", message = "pong"), "Answer.")
  tool("echo", function(...) list(echoed = list(...)), "Give the arguments back.")
  tool("add", function(a, b) a + b, "Add two numbers.", list(a = "number", b = "number"),
       idempotent = TRUE)
  tool("adapter_info", function() {
    list(adapter = "showcase", language = "r", version = as.character(getRversion()))
  }, "What serves here.")
  tool("summary", function(x) as.list(base::summary(as.numeric(x))), "The six numbers of a vector.",
       list(x = "list"))
  tool("regression", function(x, y) {
    frame <- data.frame(x = as.numeric(x), y = as.numeric(y))
    fit <- stats::lm(y ~ x, frame)
    list(coefficients = stats::coef(fit), r_squared = base::summary(fit)$r.squared,
         fitted = cbind(frame, fitted = stats::fitted(fit)))
  }, "A straight line through points.", list(x = "list", y = "list"))
  tool("stream_progress", function(steps = 5) {
    step <- 0
    stream(function() {
      if (step >= steps) return(end_of_stream())
      step <<- step + 1
      list(step = step, total = steps, progress = 100 * step / steps)
    })
  }, "Count steps.", list(steps = list(type = "int", default = 5)), stream = TRUE)
}
