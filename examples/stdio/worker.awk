# SPDX-License-Identifier: MIT
# A worker in awk: one call at a time, so no answer needs an id, and no JSON library.
#
#   pools: [{ runtime: stdio, command: [awk, -f, worker.awk] }]
#
# mawk, which is Debian's awk, waits for more than a line of a pipe unless it is told not to:
#
#   pools: [{ runtime: stdio, command: [mawk, -W, interactive, -f, worker.awk] }]

function number_of(name,   rest) {
  if (match($0, "\"" name "\" *: *-?[0-9.]+") == 0) return 0
  rest = substr($0, RSTART, RLENGTH)
  sub(/.*: */, "", rest)
  return rest + 0
}

/"describe":true/ { answer = "{\"tools\":[\"add\",\"multiply\"]}" }
/"tool":"add"/ { answer = "{\"result\":" number_of("a") + number_of("b") "}" }
/"tool":"multiply"/ { answer = "{\"result\":" number_of("a") * number_of("b") "}" }

{ print answer; fflush() }
