# SPDX-License-Identifier: MIT
# frozen_string_literal: true

# Tools in Ruby. With a pool of `adapter: sums.rb`:
#
#     snakepit call add a=2 b=3
#     snakepit stream primes below=20
#     snakepit call remember name=x value=5 --session mine
require "snakepit_bridge"

class Sums < Snakepit::Adapter
  tool :add, "Add two numbers.", params: {a: :number, b: :number}, idempotent: true do |a:, b:|
    a + b
  end

  # An ordinary method is a tool as well; its parameters are the tool's.
  tool :mean, "The mean of some numbers."
  def mean(numbers)
    raise Snakepit::BadArguments, "no numbers" if numbers.empty?

    numbers.sum.fdiv(numbers.size)
  end

  # A stream: each item is asked for when its reader has room for it.
  tool :primes, "The primes below a number.", params: {below: :int}, stream: true do |below:, &emit|
    (2...below).each { |n| emit.call(n) if (2..Integer.sqrt(n)).none? { |d| (n % d).zero? } }
  end

  # `ctx` is the call: its session, its time, its host.
  tool :remember, "Keep a value in the session." do |name:, value:, ctx:|
    ctx[name] = value
    {session: ctx.session, version: ctx.variable(name).version, seconds_left: ctx.time_left}
  end
end
