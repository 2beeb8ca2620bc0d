# SPDX-License-Identifier: MIT

# Values on their way to JSON and back, without a worker. Ends with status 1 when something
# is not as it should be.
library(snakepitBridge)

failures <- 0
checks <- 0
check <- function(what, found, wanted) {
  checks <<- checks + 1
  if (!identical(found, wanted)) {
    failures <<- failures + 1
    cat("failed:", what, "\n  found:  ", deparse(found), "\n  wanted: ", deparse(wanted), "\n")
  }
}
encode <- function(value) .Call(snakepitBridge:::C_encode, value)
json <- function(value) encode(value)[[1]]
decode <- function(text, bytes = raw(0)) .Call(snakepitBridge:::C_decode, text, bytes)
message_of <- function(code) tryCatch({ code; "no error" }, error = conditionMessage)

# What comes back as it was.
for (text in c(
  "null", "true", "false", "0", "-5", "2147483647", "-2147483648", "9007199254740992", "0.5", "1e+300",
  "0.30000000000000004", "-0.0", "NaN", "-Infinity", "\"\"", "\"a\"", "\"sn\u00e5ke \\\"\\\\\\n\"",
  "\"a\\u0000b\"", "12345678901234567890", "[]", "[1]", "[1,2]", "[\"a\"]", "[\"a\",\"b\"]", "[true]",
  "[null,1]", "[1,\"a\"]", "[[1,2],[3,4]]", "[[1],[2]]", "[[1,2],[3]]", "[[],[]]", "{}", "{\"a\":1}",
  "{\"a\":{\"b\":{\"c\":[1,{\"d\":2}]}},\"e\":null,\"\":3}",
  "[[[1,2],[3,4]],[[5,6],[7,8]]]", "[[\"a\",\"b\"],[\"c\",\"d\"]]", "[12345678901234567890]"
)) check(text, json(decode(text)), text)

# Types.
check("integer", decode("7"), 7L)
check("double", decode("7.5"), 7.5)
check("large", decode("4294967296"), 4294967296)
check("vector", decode("[1,2,3]"), 1:3)
check("mixed numbers", decode("[1,2.5]"), c(1, 2.5))
check("text", decode("[\"a\",\"b\"]"), c("a", "b"))
check("matrix", decode("[[1,2],[3,4],[5,6]]"), matrix(1:6, 3, byrow = TRUE))
check("array", dim(decode("[[[1,2],[3,4],[5,6]]]")), c(1L, 3L, 2L))
check("one element", c(decode("[5]")), 5L)
check("empty map", names(decode("{}")), character(0))
check("encoding", Encoding(decode("\"\u00e5\"")), "UTF-8")
check("minus", unclass(-decode("12345678901234567890")), "-12345678901234567890")

# What R has and JSON has not.
check("NA", json(c(1.5, NA, NaN)), "[1.5,null,NaN]")
check("NA of all kinds", json(list(NA, NA_integer_, NA_character_)), "[null,null,null]")
check("names", json(c(a = 1, b = 2)), "{\"a\":1,\"b\":2}")
check("whole doubles", json(c(1, 2^53, 1e20)), "[1,9007199254740992,1e+20]")
check("I", json(list(I(1), I("a"))), "[[1],[\"a\"]]")
check("frame", json(data.frame(x = 1:2, y = c("a", NA), f = factor(c("u", "v")))),
      "{\"x\":[1,2],\"y\":[\"a\",null],\"f\":[\"u\",\"v\"]}")
check("frame of one row", json(data.frame(x = 1)), "{\"x\":[1]}")
check("frame of none", json(data.frame(x = numeric(0))), "{\"x\":[]}")
check("frame in", as.data.frame(decode("{\"x\":[1,2],\"y\":[\"a\",\"b\"]}")),
      data.frame(x = 1:2, y = c("a", "b")))
check("date", json(as.Date("2020-01-02")), "\"2020-01-02\"")
check("time", json(as.POSIXct(0.5, origin = "1970-01-01", tz = "UTC")), "\"1970-01-01T00:00:00.500Z\"")
check("complex", json(complex(real = 1, imaginary = -2)), "[1,-2]")
check("latin1", json(iconv("\u00e5", "UTF-8", "latin1")), "\"\u00e5\"")

# Bytes and arrays travel beside the JSON.
sent <- encode(list(a = as.raw(c(0, 255)), b = as.raw(7)))
check("bytes", decode(sent[[1]], sent[[2]]), list(a = as.raw(c(0, 255)), b = as.raw(7)))
check("second part", length(sent[[2]]), 17L)
for (value in list(matrix(as.numeric(1:6000), 60), array(1:6000, c(10, 20, 30)), as.numeric(1:2000),
                   matrix(rep(c(TRUE, FALSE, TRUE), 4000), 100), complex(real = 1:2000, imaginary = 0))) {
  sent <- encode(value)
  found <- decode(sent[[1]], sent[[2]])
  check("tensor", grepl("^\\{\"__tensor__\"", sent[[1]]), TRUE)
  if (is.null(dim(value))) dim(found) <- NULL
  check("tensor", found, value)
}
check("order", encode(matrix(as.numeric(1:6000), 60))[[2]][9:16], writeBin(61, raw()))
check("NA stays in the JSON", substr(json(c(1:5000, NA)), 1, 5), "[1,2,")
f4 <- decode('{"__tensor__":{"dtype":"<f4","shape":[2]}}', writeBin(c(0.5, -2), raw(), size = 4))
check("f4", c(f4), c(0.5, -2))
check("f2", c(decode('{"__tensor__":{"dtype":"<f2","shape":[2]}}', as.raw(c(0, 0x3c, 0, 0xc0)))), c(1, -2))
check("scalar", decode('{"__tensor__":{"dtype":"<f8","shape":[]}}', writeBin(3, raw())), 3)

# What is refused.
for (text in c('{"__bytes__":{"size":9}}', '{"__bytes__":{"size":-1}}', '{"__bytes__":{}}', '{"__bytes__":3}',
               '{"__bytes__":{"size":1},"more":2}', '{"__bytes__":{"size":1,"at":4}}',
               '{"__bytes__":{"size":1,"part":"other"}}', '{"__tensor__":{"dtype":"<f8"}}',
               '{"__tensor__":{"dtype":"|O","shape":[1]}}', '{"__tensor__":{"dtype":"<f8","shape":[1]}}',
               '{"__tensor__":{"dtype":"<f8","shape":[4294967296]}}', '{"__bytes__":{"size":1e300}}',
               '{"__tensor__":{"dtype":"|u1","shape":[true]}}', '{"__bytes__":{"size":true}}')) {
  check(text, grepl("^what stands for a tensor or bytes", message_of(decode(text, as.raw(1:4)))), TRUE)
}
check("a function", message_of(encode(list(sum))), "a value of class function cannot be sent")
check("code is not run", message_of(encode(quote(stop("it ran")))), "a value of class call cannot be sent")
deep <- list()
for (i in 1:600) deep <- list(deep)
check("depth", message_of(encode(deep)), "nested deeper than 512 levels")
check("bad JSON", message_of(decode("{\"a\": x}")), "line 1, column 7: expected a value, found 'x'")

# The collector runs at every allocation: what is being built must be seen by it.
text <- paste0("[", paste0("{\"k", 1:6, "\":[", 1:6, ",\"t\",{\"n\":[[1,2],[3,4]],\"m\":\"\\u00e5\"}]}", collapse = ","), "]")
gctorture(TRUE)
found <- json(decode(text))
gctorture(FALSE)
check("the collector", found, gsub("\\\\u00e5", "\u00e5", text))

cat(checks, "checks,", failures, "failures\n")
quit("no", status = if (failures > 0) 1L else 0L)
