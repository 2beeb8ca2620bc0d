# SPDX-License-Identifier: MIT

# Tools in R. With a pool of `adapter: models.R`:
#
#     snakepit call fit '{"frame": {"x": [1, 2, 3], "y": [2.1, 3.9, 6.2]}}' --session mine
#     snakepit call forecast x='[4, 5]' --session mine
#     snakepit stream walk steps=5
library(snakepitBridge)

# A data frame goes in as an object of columns and comes out as one.
tool("fit", function(frame, ctx) {
  frame <- as.data.frame(frame)
  model <- stats::lm(y ~ x, frame)
  ctx$set("coefficients", as.list(stats::coef(model)))
  frame$fitted <- stats::fitted(model)
  list(r_squared = summary(model)$r.squared, frame = frame)
}, "Fit a straight line and keep it in the session.", list(frame = "dict"))

tool("forecast", function(x, ctx) {
  kept <- ctx$get("coefficients")
  kept[["(Intercept)"]] + kept$x * as.numeric(x)
}, "What the line says of other points.", list(x = "list"))

# A stream gives one item whenever its reader has room for it.
tool("walk", function(steps, seed = 1) {
  set.seed(seed)
  at <- 0
  done <- 0
  stream(function() {
    if (done >= steps) return(end_of_stream())
    done <<- done + 1
    at <<- at + stats::rnorm(1)
    list(step = done, at = at)
  })
}, "A random walk.", list(steps = "int", seed = list(type = "int", default = 1)), stream = TRUE)
