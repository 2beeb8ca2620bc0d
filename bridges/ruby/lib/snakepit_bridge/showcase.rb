# SPDX-License-Identifier: MIT
# frozen_string_literal: true

module Snakepit
  # One tool of each kind, to try a pool with.
  class Showcase < Adapter
    tool :ping, "Answer." do
      {"status" => "ok", "message" => "pong", "timestamp" => Time.now.to_f}
    end

    tool :echo, "Give the arguments back." do |**arguments|
      {"echoed" => arguments}
    end

    tool :add, "Add two numbers.", params: {a: :number, b: :number}, idempotent: true do |a:, b:|
      a + b
    end

    tool :process_text, "Change a text: upper, lower, reverse or length.",
         params: {text: :str, operation: {type: :str, default: "upper"}} do |text:, operation: "upper"|
      result = case operation
               when "upper" then text.upcase
               when "lower" then text.downcase
               when "reverse" then text.reverse
               when "length" then text.length
               else raise BadArguments, "operation #{operation.inspect}: upper, lower, reverse or length"
               end
      {"original" => text, "operation" => operation, "result" => result}
    end

    tool :adapter_info, "What serves here." do
      {"adapter" => self.class.name, "language" => "ruby", "version" => RUBY_VERSION,
       "tools" => self.class.declared_tools.keys.sort}
    end

    tool :stream_progress, "Count steps.", params: {steps: {type: :int, default: 5}},
         stream: true do |steps: 5, &emit|
      (1..steps).each do |step|
        emit.call({"step" => step, "total" => steps, "progress" => 100.0 * step / steps})
      end
    end

    tool :fibonacci, "The first numbers of the series.", params: {count: {type: :int, default: 10}},
         stream: true do |count: 10|
      Enumerator.produce([0, 1]) { |a, b| [b, a + b] }.lazy.map(&:first).first(count)
    end
  end
end
