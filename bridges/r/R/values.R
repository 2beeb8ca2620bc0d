# SPDX-License-Identifier: MIT

# What stands for values that JSON cannot hold; called by the codec.

substitute_value <- function(value) {
  if (is.factor(value)) return(as.character(value))
  if (inherits(value, "Date")) return(plain(format(value, "%Y-%m-%d"), value))
  if (inherits(value, "POSIXt")) {
    return(plain(format(as.POSIXct(value), "%Y-%m-%dT%H:%M:%OS3Z", tz = "UTC"), value))
  }
  if (inherits(value, "condition")) {
    return(list(type = class(value)[1], message = conditionMessage(value)))
  }
  if (is.function(value) || is.environment(value) || is.language(value) ||
      isS4(value) || !(is.atomic(value) || is.list(value))) {
    stop("a value of class ", class(value)[1], " cannot be sent", call. = FALSE)
  }
  unclass(value)
}

plain <- function(text, value) if (is.null(names(value))) text else stats::setNames(text, names(value))

# A column of a data frame: always a list, however few rows it has.
frame_column <- function(column) {
  if (is.factor(column)) column <- as.character(column)
  if (is.object(column)) column <- substitute_value(column)
  if (is.list(column) || !is.null(dim(column))) return(column)
  names(column) <- NULL
  I(column)
}

# Integers that R's numbers cannot hold are kept as text.
`-.snakepit_integer` <- function(e1, e2) {
  if (!missing(e2)) stop("integers beyond 2^53 are no numbers in R: as.numeric() rounds them")
  text <- unclass(e1)
  text <- if (startsWith(text, "-")) substring(text, 2) else paste0("-", text)
  structure(text, class = "snakepit_integer")
}

print.snakepit_integer <- function(x, ...) cat(unclass(x), "\n")

as.double.snakepit_integer <- function(x, ...) as.numeric(unclass(x))
