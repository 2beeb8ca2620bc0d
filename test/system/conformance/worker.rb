# SPDX-License-Identifier: MIT
# frozen_string_literal: true

# The tools of the conformance list (docs/conformance.md), in Ruby.
require "snakepit_bridge"

# What `fail` raises.
class ConformanceError < StandardError; end

class Conformance < Snakepit::Adapter
  KINDS = {NilClass => "null", TrueClass => "boolean", FalseClass => "boolean",
           Integer => "integer", Float => "float", Array => "list", Hash => "map"}.freeze

  def note(path, word)
    File.open(path, "a") { |file| file.write("#{word}\n") }
  end

  # ---- values ----

  tool(:echo) { |value:| value }

  tool :kind do |value:|
    next value.encoding == Encoding::BINARY ? "bytes" : "string" if value.is_a?(String)

    KINDS.fetch(value.class, value.class.name)
  end

  tool(:add, params: {a: :int, b: :int}) { |a:, b:| a + b }
  tool(:negate, params: {value: :int}) { |value:| -value }
  tool(:specials) { [Float::NAN, Float::INFINITY, -Float::INFINITY] }
  tool(:make_bytes) { |size:| Array.new(size) { |i| i % 256 }.pack("C*") }
  tool(:take_bytes) { |data:| [data.bytesize, data.sum(64)] }

  tool :matrix do |rows:, columns:|
    Snakepit::Tensor.from(Array.new(rows) { |r| Array.new(columns) { |c| r * columns + c } })
  end

  tool :total do |matrix:|
    matrix = Snakepit::Tensor.from(matrix) if matrix.is_a?(Array)
    [matrix.shape, matrix.flat.sum]
  end

  # ---- telemetry ----

  tool :report, params: {name: :str, amount: :int, note: :str} do |name:, amount:, note:|
    Snakepit::Telemetry.emit(name, {amount: amount}, {note: note})
  end

  # ---- failures ----

  tool(:fail, params: {message: :str})
  def fail(message:)
    raise ArgumentError, "the cause"
  rescue ArgumentError
    raise ConformanceError, message
  end

  # ---- streams ----

  tool :count, stream: true do |n:, &emit|
    n.times { |i| emit.call({i: i}) }
  end

  tool :fail_after, stream: true do |n:, &emit|
    n.times { |i| emit.call({i: i}) }
    raise ConformanceError, "after #{n}"
  end

  tool :endless, stream: true do |path:, made:, &emit|
    File.open(made, "wb") do |file|
      (1..).each do |i|
        file.pwrite(format("%020d", i), 0)
        emit.call({i: i, text: "x" * 1000})
      end
    end
  ensure
    note(path, "closed")
  end

  # ---- time ----

  tool :sleep do |path:, seconds:|
    note(path, "started")
    Kernel.sleep(seconds)
    "slept"
  rescue Snakepit::Cancelled
    note(path, "cancelled")
    raise
  end

  tool :hang do |path:|
    Thread.handle_interrupt(Object => :never) do
      note(path, "started")
      loop {}
    end
  end

  tool :time_left do |ctx:|
    ctx.time_left && (ctx.time_left * 1000).to_i
  end

  # ---- the session and the host ----

  tool(:session) { |ctx:| ctx.session }
  tool(:metadata) { |ctx:| ctx.metadata }
  tool(:set_variable) { |name:, value:, ctx:| ctx[name] = value }
  tool(:get_variable) { |name:, ctx:| ctx[name] }
  tool(:call_host) { |name:, args:, ctx:| ctx.call_host(name, args) }
  tool(:call_worker) { |pool:, name:, args:, ctx:| ctx.call_tool(name, args, pool: pool) }

  # ---- the process ----

  tool :say do |text:|
    puts(text)
    warn(text)
    IO.for_fd(1, autoclose: false).syswrite("#{text}\n")
    text
  end

  tool :flood do |lines:|
    lines.times do |i|
      puts("line #{i} of what nobody reads")
      warn("line #{i} of what nobody reads")
    end
    lines
  end

  tool(:pid) { Process.pid }
  tool(:child) { |seconds:| Process.spawn("sleep", seconds) && nil }
  tool(:leave) { |code:| exit!(code) }
  tool(:crash) { Process.kill(:SEGV, Process.pid) }
end
