#!/bin/bash
# SPDX-License-Identifier: MIT
# A worker in bash: jq reads and writes the JSON.
#
#   pools: [{ runtime: stdio, command: [bash, worker.sh] }]

while read -r line; do
  case $(jq -r 'if .describe then "describe" else .tool end' <<<"$line") in
    describe)
      echo '{"tools": [{"name": "add", "description": "Add two numbers.",
        "params": [{"name": "a", "type": "float"}, {"name": "b", "type": "float"}]},
        "disk", {"name": "count", "stream": true}]}' | jq -c .
      ;;
    add)
      jq -c '{id, result: (.args.a + .args.b)}' <<<"$line"
      ;;
    disk) # what df says of a folder
      folder=$(jq -r '.args.folder // "/"' <<<"$line")
      if free=$(df --output=avail -B1 "$folder" 2>&1 | tail -n 1) && [[ $free =~ ^[0-9]+$ ]]
      then
        jq -c --argjson free "$free" '{id, result: {folder: (.args.folder // "/"), free: $free}}' <<<"$line"
      else
        jq -c --arg why "$free" '{id, error: {type: "DfError", message: $why}}' <<<"$line"
      fi
      ;;
    count)
      for ((i = 1; i <= $(jq '.args.to' <<<"$line"); i++)); do
        echo "{\"chunk\": $i}"
      done
      echo '{"end": true}'
      ;;
    *)
      jq -c '{id, error: {type: "NoTool", message: ("no tool " + .tool)}}' <<<"$line"
      ;;
  esac
done
