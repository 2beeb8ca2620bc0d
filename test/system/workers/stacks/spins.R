# SPDX-License-Identifier: MIT

# A tool whose calls are looked at while it runs, until a file `path`.end is there.
library(snakepitBridge)

turn_round <- function(path) {
  end <- paste0(path, ".end")
  while (!file.exists(end)) {
    x <- 0
    for (i in 1:20000) x <- x + 1
  }
  TRUE
}

tool("spin", function(path) {
  cat("", file = path)
  turn_round(path)
})
