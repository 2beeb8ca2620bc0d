# SPDX-License-Identifier: MIT
# frozen_string_literal: true

# Tools in Ruby for a snakepit pool. An adapter is a class:
#
#     class Sums < Snakepit::Adapter
#       tool :add, "Add two numbers.", params: {a: :int, b: :int} do |a:, b:|
#         a + b
#       end
#     end
#
# and a pool names its file: `runtime: ruby`, `adapter: sums.rb`. A program of its own that
# shall be a worker ends with `Snakepit.serve(Sums.new)`. See README.md.
module Snakepit
end

require_relative "snakepit_bridge/errors"
require_relative "snakepit_bridge/tensor"
require_relative "snakepit_bridge/values"
require_relative "snakepit_bridge/_worker"
require_relative "snakepit_bridge/context"
require_relative "snakepit_bridge/telemetry"
require_relative "snakepit_bridge/adapter"
require_relative "snakepit_bridge/signature"
require_relative "snakepit_bridge/loader"
require_relative "snakepit_bridge/serving"
require_relative "snakepit_bridge/worker"
