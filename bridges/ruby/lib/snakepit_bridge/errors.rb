# SPDX-License-Identifier: MIT
# frozen_string_literal: true

module Snakepit
  # Raised in a tool for which nobody waits any more: its caller has cancelled, or the
  # deadline has passed. No StandardError: a plain rescue does not stop it; ensure blocks
  # run.
  class Cancelled < Exception; end # rubocop:disable Lint/InheritException

  # The arguments do not fit the tool: the caller's fault.
  class BadArguments < ArgumentError; end

  # There is no tool of that name here.
  class NoSuchTool < NameError; end

  # The connection to the host, or the way the package is used.
  class WorkerError < StandardError; end

  # The host refused, failed or is gone. `code` is the stable name, such as SP-NOT-FOUND.
  class HostError < StandardError
    attr_reader :code, :remote_type, :remote_trace

    def initialize(message = "", code: "", remote_type: nil, remote_trace: nil, details: nil)
      super(message)
      @code = code
      @remote_type = remote_type
      @remote_trace = remote_trace
      @details = details
    end

    # What else is known of the exception: a Hash with its "causes", or nil.
    def remote_details
      return nil unless @details

      require "json"
      JSON.parse(@details)
    end

    # The exception of an error's stable name.
    def self.of_code(code, message, remote_type, remote_trace, details)
      (BY_CODE[code] || HostError).new(message, code: code, remote_type: remote_type,
                                                remote_trace: remote_trace, details: details)
    end
  end

  # There is no session, variable, program or version of that name.
  class NotFound < HostError; end

  # There is one by this name already.
  class AlreadyExists < HostError; end

  # A value, type, constraint or name that is not taken; the message says the limit.
  class BadValue < HostError; end

  # The version is another than expected: somebody else was first.
  class VersionConflict < HostError; end

  # Somebody else holds the variable's lock.
  class VariableLocked < HostError; end

  # The variable would depend on itself; the message shows the way round.
  class DependencyCycle < HostError; end

  # A quota of the session or the host is used up.
  class QuotaExceeded < HostError; end

  # More changes came than a watch may leave lying. Everything before was given.
  class WatchTooSlow < HostError; end

  # No answer before the time limit, or before the deadline of the call that asks.
  class HostTimeout < HostError; end

  # Neither the host nor another worker offers a tool of that name.
  class ToolNotFound < HostError; end

  # The arguments do not fit the tool that was to be called.
  class ToolArgumentsError < HostError; end

  # Tools call each other too deep, or in a ring in which each waits for the next.
  class ToolRecursion < HostError; end

  # The tool raised: `remote_type`, the message, `remote_trace`.
  class ToolError < HostError; end

  class HostError
    BY_CODE = {
      "SP-NOT-FOUND" => NotFound, "SP-EXISTS" => AlreadyExists,
      "SP-INVAL" => BadValue, "SP-BAD-VALUE" => BadValue, "SP-BAD-JSON" => BadValue,
      "SP-TOO-DEEP" => BadValue, "SP-TOO-BIG" => BadValue,
      "SP-CONFLICT" => VersionConflict, "SP-LOCKED" => VariableLocked,
      "SP-CYCLE" => DependencyCycle, "SP-TOO-SLOW" => WatchTooSlow,
      "SP-QUOTA" => QuotaExceeded, "SP-STORE-FULL" => QuotaExceeded,
      "SP-TIMEOUT" => HostTimeout, "SP-QUEUE-TIMEOUT" => HostTimeout,
      "SP-NO-TOOL" => ToolNotFound, "SP-BAD-ARGS" => ToolArgumentsError,
      "SP-RECURSION" => ToolRecursion, "SP-DEADLOCK" => ToolRecursion,
      "SP-REMOTE" => ToolError
    }.freeze
    private_constant :BY_CODE
  end
end
