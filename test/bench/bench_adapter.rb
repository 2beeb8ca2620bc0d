# SPDX-License-Identifier: MIT
# frozen_string_literal: true

# The tool of `languages.py`, as short as in the peers.
require "snakepit_bridge"

class BenchAdapter < Snakepit::Adapter
  tool(:add, params: {a: :int, b: :int}) { |a:, b:| {"result" => a + b} }
end
