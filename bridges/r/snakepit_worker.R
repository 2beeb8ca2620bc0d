# SPDX-License-Identifier: MIT

# Start a worker in R: Rscript snakepit_worker.R --adapter SPEC [ARGUMENTS].
#
# The package lies in library/ beside this file, built for one R. An R it was not built for
# takes the package installed for it, if there is one.

local({
  script <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE)[1])
  own <- file.path(dirname(normalizePath(script)), "library")
  if (dir.exists(own)) .libPaths(c(own, .libPaths()))
  loaded <- tryCatch({
    library("snakepitBridge", character.only = TRUE)
    TRUE
  }, error = function(condition) {
    message("snakepit_worker.R: the package snakepitBridge is not built for R ",
            getRversion(), ": ", conditionMessage(condition))
    FALSE
  })
  if (!loaded) quit("no", status = 78L) # tells the pool that starting it again is useless
})
quit("no", status = tryCatch(snakepitBridge:::main(commandArgs(TRUE)), error = function(condition) {
  message("snakepit_worker.R: ", conditionMessage(condition))
  1L
}))
