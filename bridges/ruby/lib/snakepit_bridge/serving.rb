# SPDX-License-Identifier: MIT
# frozen_string_literal: true

module Snakepit
  # What the serve loop asks Ruby for, because it is rare.
  module Serving
    # Frames of this package, which tell a tool's author nothing.
    OURS = %r{\A\s+from .*(#{Regexp.escape(__dir__)}/|/snakepit_worker\.rb:\d+:in `<main>')}.freeze
    CAUSES_MAX = 10
    TEXT_MAX = 4096 # of a cause's message and of its trace
    private_constant :OURS, :CAUSES_MAX, :TEXT_MAX

    class << self
      attr_accessor :tools

      # The entry of a tool that is not in the table.
      def resolve(name)
        names = tools.signatures.keys
        raise NoSuchTool.new("no tool #{name.inspect}; there #{names.size == 1 ? 'is' : 'are'}: " \
                             "#{names.empty? ? 'none' : names.sort.join(', ')}", name)
      end

      # A Fiber that runs a tool and gives each item it yields, or else each of what it
      # returns; not that of one with a &block, which has said all it has to say.
      def stream(entry, given, named)
        receiver, method = entry
        returns = receiver.method(method).parameters.none? { |kind, _| kind == :block }
        Fiber.new do
          yielded = false
          result = receiver.__send__(method, *given, **named) do |*items|
            yielded = true
            Fiber.yield(items.size == 1 ? items.first : items)
          end
          give(result, entry.last) if returns && !yielded
        end
      end

      # Let a stream's ensure blocks run. What they raise is told on stderr.
      def close_stream(fiber)
        return unless fiber.alive?

        fiber.raise(Cancelled, "nobody listens to this stream any more")
      rescue Cancelled, FiberError
        nil # as it should be, or it had not begun
      rescue StandardError => e
        warn("closing a stream: #{e.full_message(highlight: false)}")
      end

      def session_ended(session)
        tools.end_session(session)
      rescue StandardError => e
        warn("session_ended: #{e.full_message(highlight: false)}")
      end

      # [class, message, trace, whether the arguments did not fit, JSON or nil].
      def describe(exception, entry)
        [exception.class.name || exception.class.to_s, clean(message_of(exception)),
         clean(trace_of(exception)), entry ? at_fault?(exception, entry) : false,
         details_of(exception)]
      end

      private

      # What a tool that is no stream gives is the only item of one.
      def give(result, is_stream)
        if result.is_a?(Hash) || !result.respond_to?(:each) || !is_stream
          Fiber.yield(result) unless is_stream
        else
          result.each { |item| Fiber.yield(item) }
        end
      end

      def at_fault?(exception, entry)
        signature = tools.signatures.each_value.find { |each| each.entry.equal?(entry) }
        signature ? signature.at_fault?(exception) : false
      end

      def message_of(exception)
        exception.message.to_s
      rescue StandardError => e
        "<message of the exception raised #{e.class}>"
      end

      # As Ruby tells it, causes included, without the frames of this package.
      def trace_of(exception)
        text = exception.full_message(highlight: false, order: :top)
        text.b.lines.grep_v(OURS).join
      rescue StandardError => e
        "<no backtrace: #{e.class}>"
      end

      # What led to it, in the form of sp_error.remote_details in snakepit/error.h.
      def details_of(exception)
        causes = elsewhere(exception) + causes_of(exception)
        return nil if causes.empty?

        require "json"
        JSON.generate({ "causes" => causes.first(CAUSES_MAX) })
      rescue StandardError
        nil # an exception whose own methods raise: the texts must do
      end

      def causes_of(exception)
        found = []
        cause = exception.cause
        while cause && found.size < CAUSES_MAX
          found << as_cause(cause.class.name || cause.class.to_s, message_of(cause),
                            (cause.backtrace || []).join("\n"))
          found.concat(elsewhere(cause))
          cause = cause.cause
        end
        found
      end

      # What was raised in another process, when this exception stands for it.
      def elsewhere(exception)
        return [] unless exception.is_a?(HostError) && exception.remote_type

        further = exception.remote_details&.fetch("causes", nil) || []
        [as_cause(exception.remote_type, message_of(exception), exception.remote_trace.to_s),
         *further]
      end

      def as_cause(type, message, trace)
        told = { "link" => "cause", "type" => clean(type), "message" => clean(message[0, TEXT_MAX]) }
        told["traceback"] = clean(trace[0, TEXT_MAX]) unless trace.empty?
        told
      end

      # Text that survives as a C string in UTF-8.
      def clean(text)
        text = text.dup.force_encoding(Encoding::UTF_8) unless text.encoding == Encoding::UTF_8
        text.scrub { |bytes| bytes.bytes.map { |byte| format('\x%02X', byte) }.join }.gsub("\0", '\0')
      end
    end
  end
end
