# SPDX-License-Identifier: MIT

# The tool of `languages.py`, as short as in the peers.
snakepitBridge::tool("add", function(a, b) list(result = a + b), params = list(a = "int", b = "int"))
