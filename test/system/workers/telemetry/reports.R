# SPDX-License-Identifier: MIT

# A tool that reports events: how many of them somebody got.
library(snakepitBridge)

tool("report", function(name, count) {
  told <- 0L
  for (i in seq_len(count)) {
    told <- told + emit(name, list(count = 1L))
  }
  list(told = told)
})
